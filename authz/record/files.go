package record

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"
)

// files are the records on the disk: files of lines, of which the last one of
// this process grows. Another process may keep records in the same folder, as
// during a hand-over: what it wrote is found too.
type files struct {
	dir      string
	maxBytes int64
	maxAge   time.Duration
	clock    func() time.Time

	mu      sync.Mutex
	current *os.File // the file that grows, nil where there is none
	mine    *file    // its entry
	size    int64
	all     []*file
	at      map[string][]*line                // by the request's id, which clients choose, and the decision's
	of      map[unique.Handle[string]][]*line // by the token's id
}

// file is one file, as far as it was read.
type file struct {
	name  string // its order is the order of time
	read  int64
	lines []*line
}

// line is where a record is, and what it is found by.
type line struct {
	ids    [2]string
	of     whose
	at     time.Time
	file   *file
	offset int64
	length int
}

// whose says by their ids of which token and organization a record is; there are
// few of them, and many records.
type whose struct{ token, organization unique.Handle[string] }

func whoseOf(token, organization string) whose {
	return whose{unique.Make(token), unique.Make(organization)}
}

// parts is of how many files the records are at most, so that the oldest can be
// given up without rewriting any.
const parts = 8

func openFiles(dir string, maxBytes int64, maxAge time.Duration, clock func() time.Time) (*files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of refusals: %w", err)
	}
	f := &files{dir: dir, maxBytes: maxBytes, maxAge: maxAge, clock: clock, at: map[string][]*line{}, of: map[unique.Handle[string]][]*line{}}
	if err := f.refresh(); err != nil {
		return nil, err
	}
	f.trim()
	return f, nil
}

// refresh reads what is in the folder and was not read yet.
func (f *files) refresh() error {
	names, err := filepath.Glob(filepath.Join(f.dir, "refusals-*.jsonl"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, path := range names {
		name := filepath.Base(path)
		i := slices.IndexFunc(f.all, func(one *file) bool { return one.name == name })
		if i < 0 {
			f.all = append(f.all, &file{name: name})
			i = len(f.all) - 1
		}
		if err := f.readOn(f.all[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read the refusals of before: %w", err)
		}
	}
	slices.SortFunc(f.all, func(a, b *file) int { return strings.Compare(a.name, b.name) })
	return nil
}

// readOn indexes the whole lines behind what was read of a file. A line that is
// no record, as a kill may leave one, is passed over.
func (f *files) readOn(one *file) error {
	in, err := os.Open(filepath.Join(f.dir, one.name))
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := in.Seek(one.read, io.SeekStart); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(in, 64<<10)
	for {
		text, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var r struct {
			RequestID      string    `json:"request_id"`
			DecisionID     string    `json:"decision_id"`
			Token          string    `json:"token"`
			OrganizationID string    `json:"organization_id"`
			Time           time.Time `json:"time"`
		}
		if json.Unmarshal(text, &r) == nil && r.RequestID != "" {
			f.index(&line{[2]string{r.RequestID, r.DecisionID}, whoseOf(r.Token, r.OrganizationID), r.Time, one, one.read, len(text)})
		}
		one.read += int64(len(text))
	}
}

// index finds a record by its ids, and by its token.
func (f *files) index(l *line) {
	l.file.lines = append(l.file.lines, l)
	for i, id := range l.ids {
		if id != "" && (i == 0 || id != l.ids[0]) {
			f.at[id] = append(f.at[id], l)
		}
	}
	if l.of.token != nobody {
		f.of[l.of.token] = append(f.of[l.of.token], l)
	}
}

// nobody is the token of a record of none.
var nobody = unique.Make("")

// append writes a record behind the others.
func (f *files) append(e entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == nil || f.size+int64(len(e.line)) > f.maxBytes/parts {
		if err := f.next(); err != nil {
			return err
		}
	}
	if _, err := f.current.Write(e.line); err != nil {
		f.current.Close()
		f.current = nil // a torn line ends its file
		return err
	}
	f.index(&line{e.ids, e.of, e.time, f.mine, f.size, len(e.line)})
	f.size += int64(len(e.line))
	f.mine.read = f.size
	return nil
}

// next begins a file, and gives up what is beyond the bounds.
func (f *files) next() error {
	if f.current != nil {
		f.current.Close()
		f.current = nil
	}
	name := fmt.Sprintf("refusals-%020d-%d.jsonl", f.clock().UnixNano(), os.Getpid())
	out, err := os.OpenFile(filepath.Join(f.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make a file for refusals: %w", err)
	}
	f.current, f.mine, f.size = out, &file{name: name}, 0
	f.all = append(f.all, f.mine)
	f.trim()
	return nil
}

// trim gives up the files that are too old or too many, but for the last.
func (f *files) trim() {
	oldest := f.clock().Add(-f.maxAge)
	total := int64(0)
	for _, one := range f.all {
		total += one.read
	}
	for len(f.all) > 0 {
		first := f.all[0]
		if f.current != nil && first == f.mine {
			return
		}
		old := len(first.lines) == 0 || first.lines[len(first.lines)-1].at.Before(oldest)
		// The file that grows counts as full.
		if !old && total <= f.maxBytes/parts*(parts-1) && len(f.all) <= 4*parts {
			return
		}
		_ = os.Remove(filepath.Join(f.dir, first.name))
		total -= first.read
		ids, tokens := map[string]bool{}, map[unique.Handle[string]]bool{}
		for _, l := range first.lines {
			ids[l.ids[0]], ids[l.ids[1]], tokens[l.of.token] = true, true, true
		}
		forget(f.at, ids, first)
		forget(f.of, tokens, first)
		f.all = f.all[1:]
	}
}

// forget takes the lines of a file out of what is found by some keys.
func forget[K comparable](found map[K][]*line, keys map[K]bool, gone *file) {
	for key := range keys {
		if found[key] = slices.DeleteFunc(found[key], func(l *line) bool { return l.file == gone }); len(found[key]) == 0 {
			delete(found, key)
		}
	}
}

// find returns the latest record of an id, of organizations that may be seen: a
// client who sends the id of another's request takes its record from nobody.
func (f *files) find(id string, see func(organization string) bool) (*Refusal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	where := f.latest(id, see)
	if where == nil {
		if err := f.refresh(); err != nil {
			return nil, err
		}
		where = f.latest(id, see)
	}
	if where == nil || where.at.Before(f.clock().Add(-f.maxAge)) {
		return nil, nil
	}
	return f.read(where)
}

// latest is the latest line of an id that may be seen; of those of one moment the
// last one.
func (f *files) latest(id string, see func(organization string) bool) (found *line) {
	for _, l := range f.at[id] {
		if (found == nil || !l.at.Before(found.at)) && see(l.of.organization.Value()) {
			found = l
		}
	}
	return found
}

// read reads a record; nil where its file is gone.
func (f *files) read(l *line) (*Refusal, error) {
	in, err := os.Open(filepath.Join(f.dir, l.file.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read a refusal: %w", err)
	}
	defer in.Close()
	return readAt(in, l)
}

func readAt(in io.ReaderAt, l *line) (*Refusal, error) {
	text := make([]byte, l.length)
	if _, err := in.ReadAt(text, l.offset); err != nil {
		return nil, fmt.Errorf("read a refusal: %w", err)
	}
	var r Refusal
	if err := json.Unmarshal(bytes.TrimSpace(text), &r); err != nil {
		return nil, fmt.Errorf("read a refusal: %w", err)
	}
	return &r, nil
}

// mostRead is how many records are read, to find the latest of a token that may
// be seen.
const mostRead = 2000

// UnknownOrganization stands for the organizations that there are not, or that were
// not noted.
const UnknownOrganization = "unknown"

// last returns the latest records of a token, of organizations that may be seen.
func (f *files) last(token string, most int, see func(organization string) bool) (out []Refusal, err error) {
	all, err := f.linesOf(token)
	if err != nil {
		return nil, err
	}
	var in *os.File // of the line before, mostly that of the next, too
	var of *file
	defer func() { _ = in.Close() }() // a nil file says so
	slices.Reverse(all)               // of those of one moment the last one comes first too
	slices.SortStableFunc(all, func(a, b *line) int { return b.at.Compare(a.at) })
	oldest, read := f.clock().Add(-f.maxAge), 0
	for _, l := range all {
		if len(out) == most || read == mostRead || l.at.Before(oldest) {
			break
		}
		organization := l.of.organization.Value()
		if organization != "" && !see(organization) {
			continue
		}
		read++
		if l.file != of {
			_ = in.Close()
			of = l.file
			in, err = os.Open(filepath.Join(f.dir, of.name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("read a refusal: %w", err)
			}
		}
		if in == nil {
			continue // the file is gone
		}
		r, err := readAt(in, l)
		switch {
		case err != nil:
			return nil, err
		case organization != "", r.aboutNone() && see(""), !r.aboutNone() && see(UnknownOrganization):
			out = append(out, *r)
		}
	}
	return out, nil
}

// linesOf are the lines on a token. They are read without holding up who records.
func (f *files) linesOf(token string) ([]*line, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return nil, err
	}
	return slices.Clone(f.of[unique.Make(token)]), nil
}

// each hands on the lines that are kept, in the order in which they were written,
// but for those of before. They are read without holding up who records.
func (f *files) each(ctx context.Context, organization string, yield func([]byte) error) error {
	f.mu.Lock()
	err := f.refresh()
	var all []*line
	for _, one := range f.all {
		all = append(all, one.lines...)
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	var in *os.File
	var of *file
	defer func() { _ = in.Close() }() // a nil file says so
	oldest := f.clock().Add(-f.maxAge)
	for _, l := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if l.at.Before(oldest) || organization != "" && l.of.organization.Value() != organization {
			continue
		}
		if l.file != of {
			_ = in.Close()
			of = l.file
			if in, err = os.Open(filepath.Join(f.dir, of.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("read a refusal: %w", err)
			}
		}
		if in == nil {
			continue // the file is gone
		}
		text := make([]byte, l.length)
		if _, err := in.ReadAt(text, l.offset); err != nil {
			return fmt.Errorf("read a refusal: %w", err)
		}
		if err := yield(text); err != nil {
			return err
		}
	}
	return nil
}

func (f *files) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == nil {
		return nil
	}
	err := f.current.Close()
	f.current = nil
	return err
}
