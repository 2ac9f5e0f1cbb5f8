package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/redact"
)

// Options of a [Recorder]; Dir is required.
type Options struct {
	// Dir is the folder of the records; it is made where it is not there.
	Dir string
	// MaxAge of a record; default 24 h.
	MaxAge time.Duration
	// MaxBytes of all files together; default 32 MiB. The oldest go first.
	MaxBytes int64
	// PerSecond and PerSource bound how many refusals are kept each second: of
	// all (default 500), and of one token or, without one, address (default 20).
	PerSecond, PerSource int
	// CredentialHeaders are those whose words are erased from all texts.
	CredentialHeaders redact.Headers
	// Facts appends the facts as the policy reads them, without the request's own
	// part, as JSON whose texts went through a function. Sentence is what the
	// client was told. They may be nil.
	Facts    func(out []byte, f *authz.Facts, text func(string) string) ([]byte, error)
	Sentence func(*authz.Outcome) string
	Clock    func() time.Time
	Log      *slog.Logger
}

// Recorder keeps refusals. It is safe for concurrent use.
type Recorder struct {
	Options
	limit   limit
	queue   chan entry
	files   *files
	stop    chan struct{}
	closing sync.Once
	done    chan struct{}
	dropped [3]atomic.Int64
	written atomic.Int64
	// held is the size of the requests that wait, in bytes.
	held      atomic.Int64
	room      []byte // the writer's, for a line
	followers followers
	unfollow  chan struct{}
	unfollows sync.Once
}

// entry is a record on its way to the disk, or somebody who waits for those
// before to be there.
type entry struct {
	ids    [2]string // of request and decision
	of     whose
	time   time.Time
	line   []byte
	waiter chan struct{}
	// outcome is what is still to be encoded, of a request of some size.
	outcome *authz.Outcome
	size    int64
}

// Why a refusal is not kept.
const (
	dropRate = iota
	dropQueue
	dropDisk
)

var dropNames = [...]string{dropRate: "rate", dropQueue: "queue", dropDisk: "disk"}

const (
	// maxLine is the most bytes of a record; facts beyond are left out.
	maxLine = 32 << 10
	// maxRequest is the greatest request that waits for its record, and maxHeld
	// what all that wait may have, in bytes.
	maxRequest = 32 << 10
	maxHeld    = 4 << 20
)

// sized is a request that never changes and is of a known size. It may wait for
// its record; what is kept of any other one is taken at once.
type sized interface{ Size() int }

// Open reads what was kept before, and begins to write.
func Open(o Options) (*Recorder, error) {
	if o.MaxAge == 0 {
		o.MaxAge = 24 * time.Hour
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 32 << 20
	}
	if o.PerSecond == 0 {
		o.PerSecond = 500
	}
	if o.PerSource == 0 {
		o.PerSource = 20
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{
		Options: o, limit: limit{perSource: o.PerSource, perSecond: o.PerSecond, seed: maphash.MakeSeed()},
		queue: make(chan entry, 1024), stop: make(chan struct{}), done: make(chan struct{}), unfollow: make(chan struct{}),
	}
	var err error
	if r.files, err = openFiles(o.Dir, o.MaxBytes, o.MaxAge, o.Clock); err != nil {
		return nil, err
	}
	go r.write()
	return r, nil
}

// Record keeps a refusal. It implements the pipeline's Recorder: it waits for
// nothing, and leaves encoding to the background. What waits holds its request,
// credential included, until then, in memory and within bounds; a record has
// none.
func (r *Recorder) Record(o *authz.Outcome) {
	if all := r.followers.Load(); all != nil {
		r.tell(*all, o)
	}
	if o.Decision.Allowed {
		return
	}
	if !r.limit.allow(source(o), o.Time) {
		r.dropped[dropRate].Add(1)
		return
	}
	e := entry{outcome: o}
	if q, ok := o.Request.(sized); o.Request != nil && (!ok || q.Size() > maxRequest) {
		var err error
		if e, err = r.encode(nil, o, false); err != nil {
			r.dropped[dropDisk].Add(1)
			return
		}
	} else if ok {
		e.size = int64(q.Size())
	}
	if r.held.Add(e.size) <= maxHeld {
		select {
		case r.queue <- e:
			return
		default:
		}
	}
	r.held.Add(-e.size)
	r.dropped[dropQueue].Add(1)
}

// encode makes a record's line, in the room given, or one for who follows. What
// fails or panics makes none.
func (r *Recorder) encode(room []byte, o *authz.Outcome, followed bool) (e entry, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	record, erase := r.record(o)
	var shown any = record
	if followed {
		shown = &Decision{o.Decision.Allowed, *record}
	}
	line, err := appendRecord(room[:0], shown)
	if err != nil {
		return e, err
	}
	bare := len(line)
	if o.Facts != nil && r.Facts != nil {
		// Facts are written in behind what else there is; they are left out where
		// they cannot be shown or are too long.
		const before, after = `,"facts":`, "}\n"
		line = append(line[:bare-len(after)], before...)
		whole, err := r.Facts(line, o.Facts, erase.Text)
		if err == nil && len(whole)+len(after) <= maxLine {
			line = append(whole, after...)
		} else {
			line = append(line[:bare-len(after)], after...)
		}
	}
	if len(line) > maxLine {
		return e, errors.New("the record is too long")
	}
	return entry{ids: [2]string{record.RequestID, record.DecisionID}, of: whoseOf(record.Token, record.OrganizationID), time: record.Time, line: line}, nil
}

// source is whose share of the records a refusal takes.
func source(o *authz.Outcome) string {
	switch {
	case o.Facts != nil && o.Facts.Token != nil:
		return o.Facts.Token.ID
	case o.Facts != nil:
		return o.Facts.Client.Address
	case o.Request != nil:
		return o.Request.Source().Address
	}
	return ""
}

// record is what is kept of a refusal, but for its facts, and what erases the
// request's secrets from texts.
func (r *Recorder) record(o *authz.Outcome) (*Refusal, redactor) {
	out := &Refusal{
		RequestID: strings.Clone(o.RequestID), DecisionID: o.DecisionID, Time: o.Time.UTC().Truncate(time.Millisecond),
		Reason: o.Decision.Reason, Reasons: o.Decision.Reasons, Next: o.Decision.Next,
		Policy: o.Policy, Revision: o.Revision, Evaluator: o.Evaluator, Overruled: o.Conflict, Microseconds: o.Duration.Microseconds(),
	}
	var erase redactor
	client := authz.Client{}
	if f := o.Facts; f != nil {
		client = f.Client
		out.facts(f)
	}
	if o.Request != nil {
		if client.Address == "" {
			client.Address = o.Request.Source().Address
		}
		erase = redactor{r.CredentialHeaders.Of(o.Request)}
		out.Request = erase.request(o.Request, client)
		out.RequestID = erase.text(out.RequestID)
	}
	if o.Reason != nil {
		out.HTTPStatus = o.Reason.HTTPStatus
	}
	if o.Approval != nil {
		out.Approval = &Asked{ID: o.Approval.ID, State: o.Approval.State}
	}
	if o.Err != nil {
		out.Error = erase.beginning(o.Err.Error(), 1000)
	}
	if r.Sentence != nil && o.Reason != nil && !o.Decision.Allowed {
		out.Message = erase.text(r.Sentence(o))
	}
	out.Params = params(o.Decision.Params, erase)
	return out, erase
}

func (r *Refusal) facts(f *authz.Facts) {
	if t := f.Token; t != nil {
		r.Token, r.TokenName = t.ID, t.DisplayName
		if t.Owner != nil {
			r.Owner = t.Owner.Name
		}
	}
	if f.Organization != nil {
		r.Organization, r.OrganizationID = f.Organization.Name, f.Organization.ID
	}
}

// params keeps the texts among a decision's parameters.
func params(given map[string]any, erase redactor) map[string]any {
	var out map[string]any
	for k, v := range given {
		if text, ok := v.(string); ok && text != "" && len(out) < 20 {
			if out == nil {
				out = map[string]any{}
			}
			out[k] = erase.beginning(text, 500)
		}
	}
	return out
}

// appendRecord writes a record as a line.
func appendRecord(room []byte, record any) ([]byte, error) {
	b := bytes.NewBuffer(room)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(record); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// atOnce is how many records are written before others may run: a second's
// refusals come together, and with one processor the requests among them would
// wait for ten milliseconds, Go's time slice.
const atOnce = 4

func (r *Recorder) write() {
	defer close(r.done)
	failing := false
	for n := 1; ; n++ {
		if n%atOnce == 0 {
			runtime.Gosched()
		}
		select {
		case e := <-r.queue:
			failing = r.one(e, failing)
			continue
		default:
		}
		select {
		case e := <-r.queue:
			failing = r.one(e, failing)
		case <-r.stop: // and nothing waits
			return
		}
	}
}

func (r *Recorder) one(e entry, failing bool) bool {
	if e.waiter != nil {
		close(e.waiter)
		return failing
	}
	var err error
	if o := e.outcome; o != nil {
		r.held.Add(-e.size)
		if e, err = r.encode(r.room, o, false); err == nil && cap(e.line) > cap(r.room) {
			r.room = e.line
		}
	}
	if err == nil {
		err = r.files.append(e)
	}
	if err == nil {
		r.written.Add(1)
		return false
	}
	r.dropped[dropDisk].Add(1)
	if !failing {
		r.Log.Error("refusals cannot be recorded", "error", err)
	}
	return true
}

// Close writes what is on its way, once. What is recorded after it is lost.
func (r *Recorder) Close() error {
	r.closing.Do(func() { close(r.stop) })
	<-r.done
	return r.files.close()
}

var (
	droppedDesc = prometheus.NewDesc("patrol_records_dropped_total", "Refusals of which no record was kept.", []string{"cause"}, nil)
	writtenDesc = prometheus.NewDesc("patrol_records_written_total", "Refusals of which a record was kept.", nil, nil)
)

// Describe implements prometheus.Collector.
func (r *Recorder) Describe(ch chan<- *prometheus.Desc) { ch <- droppedDesc; ch <- writtenDesc }

// Collect implements prometheus.Collector.
func (r *Recorder) Collect(ch chan<- prometheus.Metric) {
	for i := range r.dropped {
		ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(r.dropped[i].Load()), dropNames[i])
	}
	ch <- prometheus.MustNewConstMetric(writtenDesc, prometheus.CounterValue, float64(r.written.Load()))
}
