// Package assets holds what plimsoll knows to say: explanations of every check
// and the translations of everything it prints, in English and German.
package assets

// A Language is one that plimsoll speaks.
type Language string

const (
	English Language = "en"
	German  Language = "de"
)
