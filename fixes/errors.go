package fixes

import "errors"

// ErrBroken means that a failed change could not be put back entirely. The
// error that wraps it names what is left and what a person should do.
var ErrBroken = errors.New("could not be put back")

// ErrChanged means that the world is no longer what the plan was made from.
var ErrChanged = errors.New("changed since the plan was made")
