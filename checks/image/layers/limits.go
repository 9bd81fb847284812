package layers

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Limits bound the work on one image. Real images stay far below.
type Limits struct {
	Entries   int   // in all layers
	Names     int64 // bytes of all their names
	Bytes     int64 // read from the archive, and after decompression
	Content   int64 // of one file that a visitor gets to see
	Ratio     int64 // of compression, once a layer has 64 MiB
	Documents int64 // bytes of manifests and configurations
}

// Sane are limits for images that people use.
var Sane = Limits{
	Entries:   600_000,
	Names:     64 << 20,
	Bytes:     64 << 30,
	Content:   64 << 20,
	Ratio:     400,
	Documents: 16 << 20,
}

// ErrLimit is why reading ended early.
var ErrLimit = errors.New("the image is larger than what is read")

// A meter counts what is spent of the limits.
type meter struct {
	ctx     context.Context // of one call of Read
	limits  Limits
	entries int
	names   int64
	bytes   int64
}

func (m *meter) entry(name string) error {
	m.entries++
	m.names += int64(len(name))
	switch {
	case m.entries > m.limits.Entries:
		return fmt.Errorf("%w: more than %d files", ErrLimit, m.limits.Entries)
	case m.names > m.limits.Names:
		return fmt.Errorf("%w: more than %d bytes of names", ErrLimit, m.limits.Names)
	}
	return nil
}

func (m *meter) spend(n int) error {
	if m.bytes += int64(n); m.bytes > m.limits.Bytes {
		return fmt.Errorf("%w: more than %d bytes", ErrLimit, m.limits.Bytes)
	}
	return m.ctx.Err()
}

// metered charges what is read from r to a meter.
type metered struct {
	r    io.Reader
	m    *meter
	read int64
	from *metered // the compressed side, nil when there is none
}

const packedFree = 64 << 20 // bytes below which a ratio says nothing

func (c *metered) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.read += int64(n)
	if spent := c.m.spend(n); spent != nil {
		return n, spent
	}
	if c.from != nil && c.read > packedFree && c.read > c.m.limits.Ratio*max(1, c.from.read) {
		return n, fmt.Errorf("%w: it unpacks to more than %d times its size", ErrLimit, c.m.limits.Ratio)
	}
	return n, err
}
