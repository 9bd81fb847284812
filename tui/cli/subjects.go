package cli

import (
	"os"
	"strings"

	"plimsoll/checks/inventory"
)

// selection reads the SUBJECT arguments of a command: a path, container:NAME,
// image:REF, containers, images or host; none means all of them and the files
// below the working directory. A file called like a word is written ./images.
func selection(args []string) inventory.Selection {
	if len(args) == 0 {
		return inventory.Selection{Paths: []string{"."}, AllContainers: true, AllImages: true, Host: true, Closely: true}
	}
	s := inventory.Selection{Closely: true}
	for _, arg := range args {
		kind, name, prefixed := strings.Cut(arg, ":")
		switch {
		case arg == "containers":
			s.AllContainers = true
		case arg == "images":
			s.AllImages = true
		case arg == "host":
			s.Host = true
		case prefixed && kind == "container" && name != "" && !exists(arg):
			s.Containers = append(s.Containers, name)
		case prefixed && kind == "image" && name != "" && !exists(arg):
			s.Images = append(s.Images, name)
		default:
			s.Paths = append(s.Paths, arg)
		}
	}
	return s
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
