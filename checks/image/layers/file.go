package layers

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// picker is the visitor that keeps the beginning of one file.
type picker struct {
	collector
	path  string
	found bool
}

func (p *picker) Visit(f *File) io.WriteCloser {
	if f.Kind != Regular || f.Path != p.path {
		return nil
	}
	p.found = true
	p.data = p.data[:0] // the last one of this name wins
	return p
}

func (p *picker) Close() error { return nil }

// FileIn returns the beginning of the regular file at path in a layer of the
// archive r, at most most bytes.
func FileIn(ctx context.Context, r io.Reader, layer Ref, path string, most int) ([]byte, error) {
	p := &picker{collector: collector{limit: most}, path: path}
	only := func(name string) []Visitor {
		if name == layer.Name {
			return []Visitor{p}
		}
		return nil
	}
	if _, err := Read(ctx, r, Options{Visitors: only, only: true}); err != nil && !p.found {
		return nil, err
	}
	if !p.found {
		return nil, fmt.Errorf("reading %s: %w", path, errGone)
	}
	return p.data, nil
}

var errGone = errors.New("the layer has no such file")
