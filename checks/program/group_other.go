//go:build !unix

package program

import "os/exec"

// group does nothing here: the process itself is ended.
func group(*exec.Cmd) {}

func end(*exec.Cmd) {}
