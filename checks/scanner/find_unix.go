//go:build !windows

package scanner

import "io/fs"

var suffixes = []string{""}

func executable(info fs.FileInfo) bool { return info.Mode().Perm()&0o111 != 0 }
