package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"

	"github.com/patrol-authz/patrol/authz/credential"
)

// TokenScanCmd finds secrets in files.
type TokenScanCmd struct {
	Paths   []string `arg:"" name:"path" help:"Files and folders; - is standard input."`
	MaxSize string   `help:"Files that are larger are passed over, and named." default:"1GB" placeholder:"SIZE"`
}

// Help gives examples.
func (*TokenScanCmd) Help() string {
	return "Finds secrets that patrol issued (ptl_…), by their checksum, without a server. A secret is never printed: its place and last four characters are. " +
		"Binary files and links are passed over. Exit 0: none; 1: some, or something could not be read.\n\n" +
		example("patrol token scan . ~/.netrc", "git log -p | patrol token scan -")
}

// scanned is a secret and where it is.
type scanned struct {
	Path string `json:"path"`
	credential.Found
}

// scan is one scan under way.
type scan struct {
	max     uint64
	found   []scanned
	files   int
	skipped []string // "PATH: why"
	failed  []string
}

// Run scans.
func (c *TokenScanCmd) Run(cli *CLI) error {
	s := &scan{found: []scanned{}}
	var err error
	if s.max, err = humanize.ParseBytes(c.MaxSize); err != nil {
		return usagef("--max-size %q: write a number of bytes, 500MB or 1GB", c.MaxSize)
	}
	for _, path := range c.Paths {
		if path == "-" {
			s.text("-", os.Stdin, true)
			continue
		}
		s.walk(path)
	}
	err = cli.print(s.found, func(t *table) {
		for _, f := range s.found {
			t.row(fmt.Sprintf("%s:%d:%d", f.Path, f.Line, f.Column), "a secret that ends in "+f.Last4)
		}
	})
	for _, what := range append(s.skipped, s.failed...) {
		fmt.Fprintln(os.Stderr, "patrol:", plain(what))
	}
	if err == nil && cli.Output == "table" {
		fmt.Fprintf(os.Stderr, "%d found in %d files\n", len(s.found), s.files)
	}
	switch {
	case err != nil:
		return err
	case len(s.failed) > 0:
		return fmt.Errorf("%d paths could not be read", len(s.failed))
	case len(s.found) > 0:
		return refused{errors.New("secrets were found")}
	}
	return nil
}

func (s *scan) walk(path string) {
	err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = s.file(path)
		}
		if err != nil {
			s.failed = append(s.failed, err.Error())
		}
		return nil
	})
	if err != nil {
		s.failed = append(s.failed, err.Error())
	}
}

func (s *scan) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if size := info.Size(); size > 0 && uint64(size) > s.max {
		s.skipped = append(s.skipped, fmt.Sprintf("%s: passed over, it has %s", path, humanize.Bytes(uint64(size))))
		return nil
	}
	s.text(path, f, false)
	return nil
}

// text scans one text. What is binary in a folder is passed over; what was
// given by hand on standard input is told.
func (s *scan) text(path string, in io.Reader, given bool) {
	s.files++
	err := credential.Scan(in, func(f credential.Found) { s.found = append(s.found, scanned{path, f}) })
	switch {
	case errors.Is(err, credential.ErrBinary) && given:
		s.failed = append(s.failed, path+": is "+err.Error())
	case err != nil && !errors.Is(err, credential.ErrBinary):
		s.failed = append(s.failed, path+": "+err.Error())
	}
}
