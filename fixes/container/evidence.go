package container

import (
	stdbytes "bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
	"plimsoll/fixes/private"
)

// Bounds of evidence.
const (
	mostLog     = 4 << 20 // bytes
	logLines    = "5000"
	mostEvents  = 1000
	eventsSince = time.Hour
	partWithin  = 15 * time.Second // for each part: the container may be hostile to being looked at
)

// A manifest says what a bundle of evidence consists of.
type manifest struct {
	Schema    int            `json:"schema"`
	Tx        string         `json:"change"` // id in the ledger
	Container string         `json:"container"`
	Name      string         `json:"name"`
	Taken     time.Time      `json:"taken"`
	Masked    string         `json:"masked"`
	Files     []evidenceFile `json:"files"`
}

// An evidenceFile is one file of a bundle, or why it is missing.
type evidenceFile struct {
	Name    string `json:"name"`
	Bytes   int    `json:"bytes"`
	SHA256  string `json:"sha256,omitempty"`
	Source  string `json:"source"` // the equivalent command
	Missing string `json:"missing,omitempty"`

	// Cut says that there was more, of which the file has the end.
	Cut bool `json:"cut,omitempty"`
}

// collect writes the evidence about a container, as far as it can be had, into
// a folder that only the user may enter. Secrets are masked before anything is
// written.
func (m *Mechanic) collect(ctx context.Context, j quarantineJournal) checks.Message {
	dir := private.Dir{Path: j.Evidence}
	list := manifest{Schema: 1, Tx: j.Tx, Container: j.Container, Name: j.Name, Taken: m.o.Now().UTC(), Masked: "values of secrets"}
	missing, cut := 0, 0
	for _, part := range []struct {
		name, source string
		read         func(context.Context, string) (data []byte, cut bool, err error)
	}{
		{"inspect.json", "docker inspect", whole(m.inspected)},
		{"top.json", "docker top -eo pid,ppid,uid,args", whole(m.processes)},
		{"diff.json", "docker diff", whole(m.differences)},
		{"stats.json", "docker stats --no-stream", whole(m.sampled)},
		{"logs.txt", "docker logs --tail " + logLines + " --timestamps", m.printed},
		{"events.json", "docker events --since 1h", m.happened},
	} {
		bounded, stop := context.WithTimeout(ctx, partWithin)
		data, more, err := part.read(bounded, j.Container)
		stop()
		f := evidenceFile{Name: part.name, Source: part.source, Cut: more && err == nil}
		if err == nil {
			err = dir.Write(part.name, data)
		}
		if err != nil {
			f.Missing = clean(err.Error())
			missing++
		} else {
			sum := sha256.Sum256(data)
			f.Bytes, f.SHA256 = len(data), hex.EncodeToString(sum[:])
		}
		if f.Cut {
			cut++
		}
		list.Files = append(list.Files, f)
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err == nil {
		err = dir.Write("manifest.json", append(data, '\n'))
	}
	switch {
	case err != nil:
		return checks.Msg("evidence could not be written to %s: %s", clean(j.Evidence), clean(err.Error()))
	case missing > 0:
		return checks.Msg("evidence is in %s; %d of %d parts are missing, its manifest says why", clean(j.Evidence), missing, len(list.Files))
	}
	if cut > 0 {
		return checks.Msg("evidence is in %s: %d files with their hashes; %d of them have the end of what there was, its manifest says which", clean(j.Evidence), len(list.Files), cut)
	}
	return checks.Msg("evidence is in %s: %d files with their hashes", clean(j.Evidence), len(list.Files))
}

// whole is a part of the evidence that is never cut.
func whole(read func(context.Context, string) ([]byte, error)) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, id string) ([]byte, bool, error) {
		data, err := read(ctx, id)
		return data, false, err
	}
}

// maskedJSON writes v without the values of secrets.
func maskedJSON(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	decoder := json.NewDecoder(stdbytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&plain); err != nil {
		return nil, err
	}
	return json.MarshalIndent(maskedValue("", plain), "", "  ")
}

func maskedValue(name string, v any) any {
	switch v := v.(type) {
	case string:
		if secret.Variable(name, v) {
			return secret.Mask
		}
		return masked(v)
	case []any:
		for i := range v {
			// "--password", "value"
			if before, ok := precedes(v, i); ok && secret.Variable(before, fmt.Sprint(v[i])) {
				v[i] = secret.Mask
				continue
			}
			v[i] = maskedValue("", v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[clean(key)] = maskedValue(key, value)
		}
		return out
	}
	return v
}

// precedes returns the option before an element of a command.
func precedes(list []any, i int) (string, bool) {
	if i == 0 {
		return "", false
	}
	before, ok := list[i-1].(string)
	if !ok || len(before) < 3 || before[:2] != "--" {
		return "", false
	}
	_, is := list[i].(string)
	return before[2:], is
}

func (m *Mechanic) inspected(ctx context.Context, id string) ([]byte, error) {
	c, err := m.inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	return maskedJSON(c)
}

func (m *Mechanic) processes(ctx context.Context, id string) ([]byte, error) {
	top, err := m.engine.ContainerTop(ctx, id, client.ContainerTopOptions{Arguments: subject.TopColumns})
	if err != nil {
		return nil, err
	}
	return maskedJSON(top)
}

func (m *Mechanic) differences(ctx context.Context, id string) ([]byte, error) {
	diff, err := m.engine.ContainerDiff(ctx, id, client.ContainerDiffOptions{})
	if err != nil {
		return nil, err
	}
	return maskedJSON(diff.Changes)
}

func (m *Mechanic) sampled(ctx context.Context, id string) ([]byte, error) {
	stats, err := m.engine.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return nil, err
	}
	defer stats.Body.Close()
	var sample any
	if err := json.NewDecoder(io.LimitReader(stats.Body, 1<<20)).Decode(&sample); err != nil {
		return nil, err
	}
	return maskedJSON(sample)
}

// printed returns the end of the log: what happened last is what matters.
func (m *Mechanic) printed(ctx context.Context, id string) ([]byte, bool, error) {
	c, err := m.inspect(ctx, id)
	if err != nil {
		return nil, false, err
	}
	logs, err := m.engine.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Tail: logLines})
	if err != nil {
		return nil, false, err
	}
	defer logs.Close()
	end := tail{most: mostLog}
	if c.Config.Tty {
		_, err = io.Copy(&end, logs)
	} else {
		_, err = stdcopy.StdCopy(&end, &end, logs)
	}
	text, cut := end.text()
	if err != nil && len(text) == 0 {
		return nil, false, err
	}
	return []byte(terminal.Text(secret.Redact(string(text)))), cut || err != nil, nil
}

// A tail keeps the end of what is written to it.
type tail struct {
	most int
	kept []byte
	lost bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*t.most { // so that it is moved seldom
		t.kept, t.lost = append(t.kept[:0], t.kept[len(t.kept)-t.most:]...), true
	}
	return len(p), nil
}

// text returns what was kept, from the beginning of a line, and whether there
// was more.
func (t *tail) text() (text []byte, cut bool) {
	text = t.kept
	if len(text) > t.most {
		text, t.lost = text[len(text)-t.most:], true
	}
	if !t.lost {
		return text, false
	}
	if i := stdbytes.IndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return text, true
}

// happened returns the latest events.
func (m *Mechanic) happened(ctx context.Context, id string) ([]byte, bool, error) {
	now := time.Now() // the engine has a clock of its own, near ours
	stamp := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	stream := m.engine.Events(ctx, client.EventsListOptions{
		Since: stamp(now.Add(-eventsSince)), Until: stamp(now), Filters: client.Filters{}.Add("container", id),
	})
	all, cut := []any{}, false
	for {
		select {
		case e := <-stream.Messages:
			if all = append(all, e); len(all) > 2*mostEvents {
				all, cut = append(all[:0], all[len(all)-mostEvents:]...), true
			}
		case err := <-stream.Err:
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, false, err
			}
			if len(all) > mostEvents {
				all, cut = all[len(all)-mostEvents:], true
			}
			data, err := maskedJSON(all)
			return data, cut, err
		}
	}
}
