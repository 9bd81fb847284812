package packages

import (
	"archive/zip"
	"bytes"
	"io"
	"path"
	"regexp"
	"strings"
)

const (
	largestJar     = 64 << 20 // that is looked into
	largestNested  = 32 << 20 // of a jar in a jar
	deepestJar     = 2
	mostJarEntries = 50_000
	largestJarText = 1 << 20
)

// readJar reads what Maven leaves in a jar, and in the jars within it. A jar
// without it is known by its name alone, which does not tell its group: it is
// left out rather than guessed.
func readJar(data []byte, depth int) []Package {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(z.File) > mostJarEntries {
		return nil
	}
	var out []Package
	for _, f := range z.File {
		switch {
		case strings.HasPrefix(f.Name, "META-INF/maven/") && path.Base(f.Name) == "pom.properties":
			out = append(out, readPom(inJar(f, largestJarText))...)
		case depth < deepestJar && isJar(f.Name):
			if inner := inJar(f, largestNested); inner != nil {
				out = append(out, readJar(inner, depth+1)...)
			}
		}
	}
	return out
}

func isJar(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jar", ".war", ".ear", ".hpi", ".jpi":
		return true
	}
	return false
}

// inJar returns the content of f, nil when that is larger than most.
func inJar(f *zip.File, most int64) []byte {
	r, err := f.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil || int64(len(data)) > most {
		return nil
	}
	return data
}

var pomProperty = regexp.MustCompile(`(?m)^\s*(groupId|artifactId|version)\s*[=:]\s*(\S+)\s*$`)

func readPom(data []byte) []Package {
	field := map[string]string{}
	for _, m := range pomProperty.FindAllSubmatch(data, -1) {
		field[string(m[1])] = string(m[2])
	}
	group, artifact, version := field["groupId"], field["artifactId"], field["version"]
	if group == "" || artifact == "" || version == "" {
		return nil
	}
	return []Package{{Type: Maven, Name: group + ":" + artifact, Version: version}}
}
