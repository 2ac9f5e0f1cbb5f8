package main

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// releaseCode takes the binary's pages out of the process that starting needed
// and serving does not: parsing, compiling, migrations. They stay in the page
// cache, and what is needed is back at the first touch.
func releaseCode() {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for line := range bytes.Lines(maps) {
		from, to, ok := codeOf(line, self)
		if ok {
			// It is advice: where it is not taken, all is as it was.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}

// codeOf reads a line of /proc/self/maps (proc(5)): the bounds of a mapping, if
// it is one of the binary that is never written.
func codeOf(line []byte, binary string) (from, to uintptr, ok bool) {
	field := bytes.Fields(line)
	if len(field) < 6 || string(field[5]) != binary || field[1][0] != 'r' || field[1][1] != '-' {
		return 0, 0, false
	}
	low, high, _ := bytes.Cut(field[0], []byte("-"))
	a, err := strconv.ParseUint(string(low), 16, 64)
	if err != nil {
		return 0, 0, false
	}
	b, err := strconv.ParseUint(string(high), 16, 64)
	return uintptr(a), uintptr(b), err == nil && b > a
}
