package container

import "path/filepath"

// ComposeFilesLabel is the label by which compose tells which files a container
// is made from.
const ComposeFilesLabel = "com.docker.compose.project.config_files"

const workingDirLabel = "com.docker.compose.project.working_dir"

// ComposeFiles returns the files that compose says it made the container with
// these labels from, separated by commas; "" if it says none. docker-compose 1
// names a file that it found by itself as it is called from its directory.
func ComposeFiles(labels map[string]string) string {
	files, dir := labels[ComposeFilesLabel], labels[workingDirLabel]
	if files != "" && files == filepath.Base(files) && filepath.IsAbs(dir) {
		return filepath.Join(dir, files)
	}
	return files
}
