package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestThePaceLeavesTheSameRoomWhateverIsLive(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 4 << 20: 400, 20 << 20: 200, 40 << 20: 100, 1 << 30: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MB live: %d %%, want %d", live>>20, got, want)
		}
	}
}

func TestTheLeastLimitOfAllControlGroupsCounts(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"proc/self/cgroup":                        "0::/pod/patrol\n",
		"sys/fs/cgroup/pod/patrol/memory.max":     "max\n",
		"sys/fs/cgroup/pod/memory.max":            "134217728\n",
		"sys/fs/cgroup/memory.max":                "1073741824\n",
		"sys/fs/cgroup/another/patrol/memory.max": "1\n",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := memoryLimit(root); got != 128<<20 {
		t.Errorf("limit %d", got)
	}
	if got := memoryLimit(t.TempDir()); got != 0 {
		t.Errorf("a limit where there are no control groups: %d", got)
	}
}
