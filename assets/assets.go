// Package assets holds what plimsoll knows to say: explanations of every check
// and the translations of everything it prints, in English and German.
//
// Nothing is read or parsed before it is asked for, so that starting the
// program costs nothing here.
package assets

import "embed"

//go:embed explain/en/*.md explain/de/*.md messages/de/*.json
var files embed.FS
