package dockerfile

import "sync"

// A memo is what many checks ask of an instruction and is worked out once. It
// goes with [File.Forget].
type memo struct {
	scoping, reading sync.Once

	visible variables // see (*File).variablesAt
	pairs   *pairSet  // of the text, see (*File).mentions
	script  script    // of RUN, see (*File).script
}

func (in *Instruction) memo() *memo {
	if m := in.known.Load(); m != nil {
		return m
	}
	m := &memo{}
	if !in.known.CompareAndSwap(nil, m) {
		return in.known.Load()
	}
	return m
}

// A pairSet tells for most texts that a word is not in them, from the pairs of
// neighbouring bytes: much faster than to search, and a hundred checks ask.
type pairSet [16]uint64

func pairsOf(text []byte) *pairSet {
	s := new(pairSet)
	for i := 1; i < len(text); i++ {
		word, bit := pairBit(text[i-1], text[i])
		s[word] |= bit
	}
	return s
}

func pairBit(a, b byte) (word int, bit uint64) {
	hash := uint(a)*29 + uint(b)
	return int(hash >> 6 & 15), 1 << (hash & 63)
}

// mayContain is false only for what is not in the text.
func (s *pairSet) mayContain(part string) bool {
	for i := 1; i < len(part); i++ {
		if word, bit := pairBit(part[i-1], part[i]); s[word]&bit == 0 {
			return false
		}
	}
	return true
}
