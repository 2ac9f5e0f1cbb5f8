package record

import (
	"bufio"
	"bytes"
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
	at      map[string]place
}

// file is one file, as far as it was read.
type file struct {
	name  string // its order is the order of time
	read  int64
	lines []line
}

type line struct {
	ids [2]string
	at  time.Time
}

type place struct {
	file   *file
	offset int64
	length int
	at     time.Time
}

// parts is of how many files the records are at most, so that the oldest can be
// given up without rewriting any.
const parts = 8

func openFiles(dir string, maxBytes int64, maxAge time.Duration, clock func() time.Time) (*files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of refusals: %w", err)
	}
	f := &files{dir: dir, maxBytes: maxBytes, maxAge: maxAge, clock: clock, at: map[string]place{}}
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
			RequestID  string    `json:"request_id"`
			DecisionID string    `json:"decision_id"`
			Time       time.Time `json:"time"`
		}
		if json.Unmarshal(text, &r) == nil && r.RequestID != "" {
			f.index(one, [2]string{r.RequestID, r.DecisionID}, r.Time, one.read, len(text))
		}
		one.read += int64(len(text))
	}
}

func (f *files) index(one *file, ids [2]string, at time.Time, offset int64, length int) {
	one.lines = append(one.lines, line{ids, at})
	for _, id := range ids {
		if before, ok := f.at[id]; id != "" && (!ok || !at.Before(before.at)) {
			f.at[id] = place{one, offset, length, at}
		}
	}
}

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
	f.index(f.mine, e.ids, e.time, f.size, len(e.line))
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
		for _, l := range first.lines {
			for _, id := range l.ids {
				if f.at[id].file == first {
					delete(f.at, id)
				}
			}
		}
		f.all = f.all[1:]
	}
}

func (f *files) find(id string) (*Refusal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	where, ok := f.at[id]
	if !ok {
		if err := f.refresh(); err != nil {
			return nil, err
		}
		where, ok = f.at[id]
	}
	if !ok || where.at.Before(f.clock().Add(-f.maxAge)) {
		return nil, nil
	}
	in, err := os.Open(filepath.Join(f.dir, where.file.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read a refusal: %w", err)
	}
	defer in.Close()
	text := make([]byte, where.length)
	if _, err := in.ReadAt(text, where.offset); err != nil {
		return nil, fmt.Errorf("read a refusal: %w", err)
	}
	var r Refusal
	if err := json.Unmarshal(bytes.TrimSpace(text), &r); err != nil {
		return nil, fmt.Errorf("read a refusal: %w", err)
	}
	return &r, nil
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
