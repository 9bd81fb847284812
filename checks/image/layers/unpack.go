package layers

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packing returns how a file is compressed whose beginning is head.
func packing(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		return "gzip"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return "zstd"
	}
	return ""
}

// largestWindow is the memory that decompressing may need.
const largestWindow = 32 << 20

type unpacked struct {
	*metered
	close func()
}

func (u unpacked) Close() { u.close() }

// unpack returns what r holds without its compression, charged to the meter of
// r as well.
func unpack(r *metered, packed string) (unpacked, error) {
	switch packed {
	case "gzip":
		z, err := gzip.NewReader(bufio.NewReader(r))
		if err != nil {
			return unpacked{}, fmt.Errorf("gzip: %w", err)
		}
		return unpacked{&metered{r: z, m: r.m, from: r}, func() { z.Close() }}, nil
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(largestWindow))
		if err != nil {
			return unpacked{}, fmt.Errorf("zstd: %w", err)
		}
		return unpacked{&metered{r: z, m: r.m, from: r}, z.Close}, nil
	}
	return unpacked{r, func() {}}, nil
}

var _ io.Reader = unpacked{}
