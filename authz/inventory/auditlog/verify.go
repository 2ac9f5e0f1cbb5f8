package auditlog

import (
	"fmt"
	"slices"
)

// Kinds of problem.
const (
	Changed   = "changed"   // an entry is not what its hash covers
	Removed   = "removed"   // entries are missing between others
	Moved     = "moved"     // an entry stands in another's place
	CutOff    = "cut_off"   // entries are missing at the end
	Rewritten = "rewritten" // the chain holds, and is not what was signed
	Forged    = "forged"    // a head's signature does not hold
)

// Problem is what is wrong with a log, and where.
type Problem struct {
	Kind string `json:"kind"`
	Seq  int64  `json:"seq"`
	Text string `json:"text"`
}

// Report is what a verification found.
type Report struct {
	Entries int64  `json:"entries"`
	Hash    string `json:"hash"` // of the last one
	// Signed is the last entry that a head of a trusted key covers, 0: none.
	Signed   int64     `json:"signed"`
	Problems []Problem `json:"problems"`
}

// Verifier looks at a log entry by entry, in the order of their numbers.
type Verifier struct {
	trusted []string
	heads   map[int64][]Head
	report  Report
	last    Entry
	broken  []broken // entries that do not follow the one before
}

// broken is an entry whose hash does not fit, with the hash stored before it.
type broken struct {
	Entry
	before string
}

// manyBroken is beyond how many broken entries none is looked for elsewhere.
const manyBroken = 64

// NewVerifier takes the signed heads that are known, and the public keys whose
// heads are believed; a head of another key is checked and proves nothing.
func NewVerifier(heads []Head, trusted ...string) *Verifier {
	v := &Verifier{trusted: trusted, heads: map[int64][]Head{}}
	for _, h := range heads {
		if err := h.Check(); err != nil {
			v.problem(Forged, h.Seq, fmt.Sprintf("the head at entry %d is not genuine: %v", h.Seq, err))
			continue
		}
		v.heads[h.Seq] = append(v.heads[h.Seq], h)
	}
	return v
}

func (v *Verifier) problem(kind string, seq int64, text string) {
	v.report.Problems = append(v.report.Problems, Problem{kind, seq, text})
}

// Add takes the next entry.
func (v *Verifier) Add(e Entry) {
	before := v.last
	switch {
	case e.Seq > before.Seq+1:
		v.problem(Removed, before.Seq+1, missing(before.Seq+1, e.Seq-1))
	case e.Seq <= before.Seq:
		v.problem(Moved, e.Seq, fmt.Sprintf("entry %d comes after entry %d", e.Seq, before.Seq))
	case e.Sum(before.Hash) != e.Hash:
		v.broken = append(v.broken, broken{e, before.Hash})
	}
	for _, h := range v.heads[e.Seq] {
		switch {
		case h.Hash != e.Hash:
			v.problem(Rewritten, e.Seq, fmt.Sprintf("the log up to entry %d is not the one whose head was signed at %s", e.Seq, h.Time.Format("2006-01-02T15:04:05Z")))
		case slices.Contains(v.trusted, h.PublicKey):
			v.report.Signed = e.Seq
		}
	}
	delete(v.heads, e.Seq)
	v.last, v.report.Hash = e, e.Hash
	v.report.Entries++
}

func missing(from, to int64) string {
	if from == to {
		return fmt.Sprintf("entry %d is missing", from)
	}
	return fmt.Sprintf("entries %d to %d are missing", from, to)
}

// Finish ends the verification. The log must end where its store says, seq and
// hash; more is all right where it was written to meanwhile.
func (v *Verifier) Finish(s State, exact bool) Report {
	v.explain()
	last := v.last.Seq
	switch {
	case s.Seq > last:
		v.problem(CutOff, last+1, missing(last+1, s.Seq)+" at the end")
	case s.Seq == last && s.Hash != v.last.Hash:
		v.problem(Changed, last, fmt.Sprintf("entry %d is not the one that was written last", last))
	case s.Seq < last && exact:
		v.problem(Changed, s.Seq+1, fmt.Sprintf("entry %d and what follows were not written by patrol: it wrote %d entries", s.Seq+1, s.Seq))
	}
	for seq, heads := range v.heads {
		if seq > max(last, s.Seq) {
			v.problem(CutOff, last+1, fmt.Sprintf("%s at the end: a head of entry %d was signed at %s", missing(last+1, seq), seq, heads[0].Time.Format("2006-01-02T15:04:05Z")))
		}
	}
	slices.SortStableFunc(v.report.Problems, func(a, b Problem) int { return int(a.Seq - b.Seq) })
	return v.report
}

// explain says of each broken entry whether it stands in another's place, only
// follows one that does, or was changed.
func (v *Verifier) explain() {
	var hashes []string
	if len(v.broken) <= manyBroken {
		for _, b := range v.broken {
			hashes = append(hashes, b.Hash, b.before)
		}
	}
	for _, b := range v.broken {
		place, found := b.Seq, false
		for _, other := range v.broken {
			for _, before := range hashes {
				e := b.Entry
				e.Seq = other.Seq
				if e.Sum(before) == b.Hash {
					place, found = other.Seq, true
				}
			}
		}
		switch {
		case !found:
			v.problem(Changed, b.Seq, fmt.Sprintf("entry %d was changed, or entry %d and its hash", b.Seq, b.Seq-1))
		case place != b.Seq:
			v.problem(Moved, b.Seq, fmt.Sprintf("entry %d stands in the place of entry %d", place, b.Seq))
		}
	}
}
