//go:build !unix

package inventory

import "io/fs"

func systemOwner(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }
