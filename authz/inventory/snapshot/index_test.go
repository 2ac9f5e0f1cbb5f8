package snapshot

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestAnIndexFindsWhatIsInIt: numbers come and go under hashes that crowd
// together, at the end of the index too; and an index that was changed further
// still finds what it found before.
func TestAnIndexFindsWhatIsInIt(t *testing.T) {
	hashes := []uint32{0, 1, 2, 1 << 20, 1<<32 - 2, 1<<32 - 1}
	rapid.Check(t, func(t *rapid.T) {
		var x, before index
		want := map[uint32][]uint32{}
		var wantBefore map[uint32][]uint32
		next := uint32(1)
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			before, wantBefore = x, clone(want)
			e := x.change(false)
			for range rapid.IntRange(1, 40).Draw(t, "steps") {
				h := rapid.SampledFrom(hashes).Draw(t, "hash")
				if list := want[h]; len(list) > 0 && rapid.Bool().Draw(t, "drop") {
					i := rapid.IntRange(0, len(list)-1).Draw(t, "which")
					e.drop(h, list[i])
					want[h] = slices.Delete(list, i, i+1)
					continue
				}
				for range rapid.SampledFrom([]int{1, 1, 200}).Draw(t, "many") {
					e.add(h, next)
					want[h] = append(want[h], next)
					next++
				}
			}
			x = e.done()
			found(t, &x, hashes, want)
			found(t, &before, hashes, wantBefore)
		}
	})
}

func clone(m map[uint32][]uint32) map[uint32][]uint32 {
	out := map[uint32][]uint32{}
	for h, list := range m {
		out[h] = slices.Clone(list)
	}
	return out
}

func found(t *rapid.T, x *index, hashes []uint32, want map[uint32][]uint32) {
	t.Helper()
	total := 0
	for _, h := range hashes {
		var got []uint32
		for p := x.find(h); ; {
			n := p.next()
			if n == 0 {
				break
			}
			got = append(got, n)
		}
		slices.Sort(got)
		if !slices.Equal(got, slices.Sorted(slices.Values(want[h]))) {
			t.Fatalf("under %#x are %v, not %v", h, got, want[h])
		}
		total += len(got)
	}
	if x.used != total {
		t.Fatalf("%d numbers are counted, and there are %d", x.used, total)
	}
}
