package container

import (
	stdbytes "bytes"
	"cmp"
	"context"
	"io"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// tailLimit is how much of a failed container's output is read.
const tailLimit = 64 << 10

// lastWords returns the last line that a container wrote, fit to be shown: it
// usually says why it failed. It is "" when there is none.
func (m *Mechanic) lastWords(ctx context.Context, id string) string {
	if id == "" {
		return ""
	}
	c, err := m.inspect(ctx, id)
	if err != nil {
		return ""
	}
	logs, err := m.engine.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "20"})
	if err != nil {
		return ""
	}
	defer logs.Close()
	var out, errs stdbytes.Buffer
	if c.Config.Tty {
		_, err = io.Copy(&out, io.LimitReader(logs, tailLimit))
	} else {
		_, err = stdcopy.StdCopy(&out, &errs, io.LimitReader(logs, tailLimit))
	}
	if err != nil && out.Len()+errs.Len() == 0 {
		return ""
	}
	// The reason of a failure is on the error stream, if it is anywhere.
	text := strings.TrimSpace(cmp.Or(strings.TrimSpace(errs.String()), out.String()))
	return clean(text[strings.LastIndexByte(text, '\n')+1:])
}
