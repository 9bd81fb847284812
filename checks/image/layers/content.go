package layers

import (
	"bytes"
	"io"

	"github.com/cespare/xxhash/v2"
)

// smallestSummed is the size below which it does not matter how often the same
// content is there.
const smallestSummed = 16 << 10

// content is the visitor that tells equal files, and programs.
type content struct {
	layer *Layer
	hash  *xxhash.Digest
	want  int64 // bytes
	seen  int64
	magic [4]byte
}

func (c *content) Visit(f *File) io.WriteCloser {
	if f.Kind != Regular || f.Size < smallestSummed && f.Mode&0o111 == 0 {
		return nil
	}
	if c.hash == nil {
		c.hash = xxhash.New()
	}
	c.hash.Reset()
	c.want, c.seen, c.magic = f.Size, 0, [4]byte{}
	return c
}

func (c *content) Write(p []byte) (int, error) {
	if c.seen < int64(len(c.magic)) {
		copy(c.magic[c.seen:], p)
	}
	c.seen += int64(len(p))
	if c.want < smallestSummed && c.seen >= int64(len(c.magic)) {
		return 0, errEnough
	}
	return c.hash.Write(p)
}

// Close notes what was learnt of the entry that came last.
func (c *content) Close() error {
	f := &c.layer.Files[len(c.layer.Files)-1]
	f.Program = bytes.Equal(c.magic[:], []byte("\x7fELF"))
	if c.want >= smallestSummed && c.seen == c.want {
		f.Sum = max(1, c.hash.Sum64())
	}
	return nil
}
