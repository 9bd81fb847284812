package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/terminal"
	"plimsoll/tui"
	"plimsoll/tui/cli/report"
	"plimsoll/tui/history"
)

// A memory is what the history knows about the subjects of one run.
type memory struct {
	store *history.Store // nil: nothing is kept
	parts []*part
}

// A part is the history of the engine, of one directory that was named, or of
// the files of one directory that were named.
type part struct {
	scope string
	root  string          // of files, absolute; "" for the engine
	named map[string]bool // files that were named, absolute; nil for a directory
	book  *history.Book
	last  time.Time // when it was looked at before this run
}

// historyStore returns where the history of s is kept, nil when the user keeps
// none.
func (a *app) historyStore(s *session) *history.Store {
	if a.config.History != nil && !*a.config.History {
		return nil
	}
	return history.NewStore(filepath.Join(s.state, "history"))
}

// remember takes what was found into the history. What cannot be read or
// written is an error, but what was found is in the memory all the same. whole
// says that nothing of selection is missing in items.
func (a *app) remember(ctx context.Context, s *session, selection inventory.Selection, items []inventory.Item, whole bool, now time.Time) (*memory, error) {
	m := &memory{store: a.historyStore(s)}
	if m.store == nil {
		return m, nil
	}
	policy, err := a.policy()
	if err != nil {
		return m, err
	}
	asked := askedIDs(a.suite, policy)
	if m.parts, err = partsOf(selection.Paths); err != nil {
		return m, err
	}
	if id := engineOf(ctx, s, items); id != "" {
		m.parts = append(m.parts, &part{scope: engineScope(id)})
	}
	var failures []error
	m.parts = slices.DeleteFunc(m.parts, func(p *part) bool {
		if p.book, err = m.store.Load(p.scope); err != nil {
			failures = append(failures, err)
			return true
		}
		p.last = p.book.Seen()
		p.observe(items, asked, now)
		if whole {
			p.looked(p.kinds(selection), items, asked, now)
		}
		if !a.readOnly {
			failures = append(failures, m.store.Save(p.scope, p.book.Pending(), now))
		}
		return false
	})
	return m, errors.Join(failures...)
}

// partsOf returns the histories of paths. Files that are named share one for
// each directory: a hook names hundreds at once.
func partsOf(paths []string) (all []*part, err error) {
	byScope := map[string]*part{}
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		p := &part{scope: filesScope(abs), root: abs}
		if info, err := os.Stat(abs); err == nil && !info.IsDir() {
			p = &part{scope: namedScope(filepath.Dir(abs)), root: filepath.Dir(abs), named: map[string]bool{abs: true}}
		}
		if known := byScope[p.scope]; known != nil {
			maps.Copy(known.named, p.named)
			continue
		}
		byScope[p.scope] = p
		all = append(all, p)
	}
	return all, nil
}

// engineOf returns the id of the engine that items came from, "" when none of
// them did.
func engineOf(ctx context.Context, s *session, items []inventory.Item) string {
	asks := false
	for _, item := range items {
		switch {
		case item.Subject == nil:
		case item.Ref.Kind == checks.Host:
			return item.Ref.ID
		case item.Ref.Kind == checks.Container, item.Ref.Kind == checks.Image:
			asks = true
		}
	}
	if !asks || s.engineID == nil {
		return ""
	}
	id, err := s.engineID(ctx)
	if err != nil {
		return ""
	}
	return id
}

func filesScope(path string) string { return "files " + path }
func namedScope(dir string) string  { return "named files of " + dir }
func engineScope(id string) string  { return "engine " + id }

// askedIDs returns the checks that policy wants, by kind.
func askedIDs(suite []*checks.Check, policy *checks.Policy) map[checks.Kind][]string {
	ids := map[checks.Kind][]string{}
	for _, c := range suite {
		if policy.Wants(c) {
			ids[c.Kind] = append(ids[c.Kind], c.ID)
		}
	}
	return ids
}

// holds reports whether a subject belongs to p.
func (p *part) holds(ref checks.Ref) bool {
	file := ref.Kind == checks.Dockerfile || ref.Kind == checks.Compose
	if p.root == "" || !file {
		return p.root == "" && !file
	}
	if p.named != nil {
		return p.named[ref.ID]
	}
	return strings.HasPrefix(ref.ID, strings.TrimSuffix(p.root, string(filepath.Separator))+string(filepath.Separator))
}

// kinds returns the kinds of which selection names everything in p.
func (p *part) kinds(s inventory.Selection) []checks.Kind {
	if p.root != "" {
		return []checks.Kind{checks.Dockerfile, checks.Compose}
	}
	var kinds []checks.Kind
	for kind, all := range map[checks.Kind]bool{checks.Container: s.AllContainers, checks.Image: s.AllImages, checks.Host: s.Host} {
		if all {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func (p *part) observe(items []inventory.Item, asked map[checks.Kind][]string, now time.Time) {
	for i := range items {
		item := &items[i]
		if p.holds(item.Ref) {
			p.book.Observe(p.root, item, func(check string) bool { return slices.Contains(asked[item.Ref.Kind], check) }, now)
		}
	}
}

// looked notes that items are all there is of kinds, or all that was named.
func (p *part) looked(kinds []checks.Kind, items []inventory.Item, asked map[checks.Kind][]string, now time.Time) {
	if len(kinds) == 0 {
		return
	}
	places := map[history.Place]bool{}
	for i := range items {
		if p.holds(items[i].Ref) {
			places[history.PlaceOf(p.root, items[i].Ref)] = true
		}
	}
	var ids []string
	for _, kind := range kinds {
		ids = append(ids, asked[kind]...)
	}
	if p.named != nil {
		kinds = nil // other files of the directory may be there
	}
	p.book.Looked(kinds, places, ids, now)
}

// compare leaves in items what appeared after a time, and tells what was fixed.
// The time of a part is its last look when after is zero.
func (m *memory) compare(items []inventory.Item, after time.Time) (fresh []inventory.Item, fixed []report.Known) {
	judged := map[history.Place]bool{}
	for _, item := range items {
		var left []checks.Finding
		for _, p := range m.parts {
			if !p.holds(item.Ref) {
				continue
			}
			judged[history.PlaceOf(p.root, item.Ref)] = true
			for i := range item.Report.Findings {
				if f := &item.Report.Findings[i]; p.book.New(history.KnownOf(p.root, f), p.time(after)) {
					left = append(left, *f)
				}
			}
			break
		}
		item.Report.Findings = left
		fresh = append(fresh, item)
	}
	for _, p := range m.parts {
		for _, k := range p.book.Fixed(p.time(after)) {
			if judged[k.Place] {
				fixed = append(fixed, report.NewKnown(k.Check, k.Place.Kind, k.Place.Name, k.Key))
			}
		}
	}
	return fresh, fixed
}

// time returns since when p is asked. Before its first look nothing is known:
// then nothing is new.
func (p *part) time(after time.Time) time.Time {
	if after.IsZero() {
		return p.last
	}
	return after
}

// young returns the parts that nobody had looked at before after.
func (m *memory) young(after time.Time) (all []*part) {
	for _, p := range m.parts {
		if p.last.IsZero() || p.book.Began().After(p.time(after)) {
			all = append(all, p)
		}
	}
	return all
}

// sinceLast asks for what is new since the run before.
const sinceLast = "last"

// parseSince returns the time that --since means; zero for last and for none.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" || text == sinceLast {
		return time.Time{}, nil
	}
	t, err := history.ParseSince(text, now)
	if err != nil {
		return t, fmt.Errorf("--since: %w", err)
	}
	return t, nil
}

// sinceThen leaves in d what is new since a time, and says where that cannot
// be known.
func (a *app) sinceThen(d *report.Document, m *memory, since string, after time.Time) error {
	if m.store == nil {
		return errors.New(a.T("--since needs the history, which the configuration switches off"))
	}
	d.Compared, d.Since = true, since
	d.Items, d.Gone = m.compare(d.Items, after)
	for _, p := range m.young(after) {
		name := p.root
		if p.root == "" {
			name = a.T("this engine")
		}
		begins := p.book.Began()
		if p.last.IsZero() || begins.IsZero() {
			fmt.Fprintf(a.err, "plimsoll: %s\n", a.T("the history of %s begins with this run: nothing can be new yet", terminal.Line(name)))
			continue
		}
		fmt.Fprintf(a.err, "plimsoll: %s\n", a.T("the history of %s begins at %s: what was there then does not count as new", terminal.Line(name), begins.Local().Format("2006-01-02 15:04")))
	}
	return nil
}

// screenHistory is the history as the screen needs it, nil when the user keeps
// none.
func (a *app) screenHistory(s *session) *tui.History {
	store := a.historyStore(s)
	if store == nil {
		return nil
	}
	h := &tui.History{Store: store, ReadOnly: a.readOnly, Root: s.root}
	h.Asked = func(kind checks.Kind, profile checks.Profile) []string {
		return askedIDs(a.suite, a.config.policy(profile))[kind]
	}
	return h
}
