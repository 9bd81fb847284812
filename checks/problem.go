package checks

// A Problem is an error that says, in the reader's language, what went wrong
// and what to do about it.
type Problem struct {
	What Message
	Do   Message // zero when nothing can be done
	Err  error   // the cause, nil when there is none
}

// Error returns both sentences in English.
func (p *Problem) Error() string { return p.In(nil) }

// In returns both sentences in the language of translate, see [Message.In].
func (p *Problem) In(translate func(string) string) string {
	s := p.What.Clean().In(translate)
	if !p.Do.IsZero() {
		s += ": " + p.Do.Clean().In(translate)
	}
	return s
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }
