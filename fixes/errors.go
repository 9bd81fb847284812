package fixes

import "errors"

// ErrBroken means that a failed change could not be put back entirely. The
// error that wraps it names what is left and what a person should do.
var ErrBroken = errors.New("could not be put back")

// ErrDeploy means that the program failed that was to make what runs be as a
// changed file says. The file stays changed, and some of it may run already.
var ErrDeploy = errors.New("not everything runs as the file says")

// ErrPartly means that some of several changes were taken back before it failed,
// and the others were not.
var ErrPartly = errors.New("not all was taken back")

// ErrChanged means that the world is no longer what the plan was made from.
var ErrChanged = errors.New("changed since the plan was made")
