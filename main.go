// Plimsoll finds, explains and fixes Docker security problems: in the terminal,
// live, with proof and undo.
package main

import (
	"os"

	"plimsoll/tui/cli"
)

// version is set by releases: -ldflags "-X main.version=1.0.0".
var version = "dev"

func main() { os.Exit(cli.Main(version)) }
