package container

import "strings"

// KeptInfix stands in the name of an original that a fix replaced and keeps,
// stopped, as the way back: between its name and the id of the change.
const KeptInfix = ".plimsoll-old-"

// Kept reports whether c is such an original. It is not judged: what was wrong
// with it is why it was replaced.
func (c *Container) Kept() bool {
	running := c.Inspect != nil && c.Inspect.State != nil && c.Inspect.State.Running
	return strings.Contains(c.Settings.Name, KeptInfix) && !running
}
