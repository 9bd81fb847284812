package history

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"plimsoll/checks"
	"plimsoll/fixes/private"
)

// A Store keeps books in a directory that only the user may enter, one file
// each. Nothing is read or created before it is used.
type Store struct {
	dir private.Dir
}

// NewStore returns the store in dir.
func NewStore(dir string) *Store { return &Store{private.Dir{Path: dir}} }

// schema is the version of the format. A file of another one is left alone.
const schema = 1

// What a file looks like, compressed. Times are seconds since 1970.
type (
	jsonBook struct {
		Schema   int                  `json:"schema"`
		Scope    string               `json:"scope"`
		Began    int64                `json:"began"`
		Seen     int64                `json:"seen"`
		Checks   []string             `json:"checks"`
		Places   []jsonPlace          `json:"places"`
		Postures map[string][]float64 `json:"postures,omitempty"` // by day
	}
	jsonPlace struct {
		Place
		Removed  int64        `json:"removed,omitempty"`
		Findings []jsonRecord `json:"findings"`
	}
	jsonRecord struct {
		Check    string          `json:"check"`
		Key      string          `json:"key,omitempty"`
		Severity checks.Severity `json:"severity"`
		Times    Times           `json:"times"`
	}
)

const (
	lockName = ".history.lock"
	suffix   = ".json.gz"
	books    = 64       // at most; the one that was not used the longest goes
	maxPlain = 64 << 20 // bytes of a decompressed file
)

func fileName(scope string) string {
	sum := sha256.Sum256([]byte(scope))
	return "book-" + hex.EncodeToString(sum[:12]) + suffix
}

// Load returns the book of scope, an empty one when there is none. A book that
// is damaged or of another version is an error; it is left alone.
func (s *Store) Load(scope string) (*Book, error) {
	data, err := s.dir.Read(fileName(scope))
	if errors.Is(err, fs.ErrNotExist) {
		return NewBook(), nil
	}
	if err == nil {
		var b *Book
		if b, err = decode(data, scope); err == nil {
			return b, nil
		}
	}
	return nil, fmt.Errorf("read the history: %w", err)
}

// Save takes changes into the book of scope on disk, whatever another process
// has written meanwhile.
func (s *Store) Save(scope string, changes []Change, now time.Time) error {
	if len(changes) == 0 {
		return nil
	}
	release, err := s.dir.Await(lockName)
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	defer release()
	b, err := s.Load(scope)
	if err != nil {
		return err
	}
	for _, c := range changes {
		b.apply(c)
	}
	b.trim(now)
	data, err := encode(b, scope)
	if err == nil {
		err = s.dir.Write(fileName(scope), data)
	}
	if err == nil {
		err = s.drop(fileName(scope))
	}
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}

// drop removes the oldest books when there are too many, never that called
// mine.
func (s *Store) drop(mine string) error {
	names, err := s.dir.Names()
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool {
		return !strings.HasPrefix(n, "book-") || !strings.HasSuffix(n, suffix) || n == mine
	})
	if len(names) < books {
		return nil
	}
	seen := map[string]int64{}
	for _, n := range names {
		if data, err := s.dir.Read(n); err == nil {
			if b, err := decode(data, ""); err == nil {
				seen[n] = b.seen
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(seen[a], seen[b]), cmp.Compare(a, b)) })
	for _, n := range names[:len(names)-books+1] {
		if err := s.dir.Remove(n); err != nil {
			return err
		}
	}
	return nil
}

func encode(b *Book, scope string) ([]byte, error) {
	out := jsonBook{Schema: schema, Scope: scope, Began: b.began, Seen: b.seen, Postures: b.postures, Checks: []string{}, Places: []jsonPlace{}}
	for id := range b.checks {
		out.Checks = append(out.Checks, id)
	}
	slices.Sort(out.Checks)
	at := map[Place]int{}
	for key, r := range b.records {
		i, ok := at[key.place]
		if !ok {
			i = len(out.Places)
			at[key.place] = i
			out.Places = append(out.Places, jsonPlace{Place: key.place, Removed: b.removed[key.place]})
		}
		out.Places[i].Findings = append(out.Places[i].Findings, jsonRecord{key.check, key.key, r.severity, r.times})
	}
	slices.SortFunc(out.Places, func(a, b jsonPlace) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	for _, p := range out.Places {
		slices.SortFunc(p.Findings, func(a, b jsonRecord) int { return cmp.Or(cmp.Compare(a.Check, b.Check), cmp.Compare(a.Key, b.Key)) })
	}
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	if err := json.NewEncoder(z).Encode(out); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

// decode reads a book of scope; of any when scope is empty.
func decode(data []byte, scope string) (*Book, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var in jsonBook
	d := json.NewDecoder(io.LimitReader(z, maxPlain))
	if err := d.Decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.Schema != schema:
		return nil, fmt.Errorf("a history of schema %d, which this plimsoll does not know", in.Schema)
	case scope != "" && in.Scope != scope:
		return nil, errors.New("a history of something else")
	}
	b := NewBook()
	b.began, b.seen = in.Began, in.Seen
	for _, id := range in.Checks {
		b.checks[id] = true
	}
	for day, posture := range in.Postures {
		b.postures[day] = posture
	}
	for _, p := range in.Places {
		if p.Removed != 0 {
			b.removed[p.Place] = p.Removed
		}
		for _, r := range p.Findings {
			if len(r.Times) == 0 || len(r.Times) > most {
				return nil, fmt.Errorf("a finding with %d times", len(r.Times))
			}
			b.records[id{p.Place, r.Check, r.Key}] = record{r.Severity, r.Times}
		}
	}
	return b, nil
}
