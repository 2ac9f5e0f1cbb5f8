package unary

import "time"

// Method answers questions, in one step or several.
type Method []Step

// Step takes a question further. What a step needs is at hand, in the processor's
// caches, when it was done just before for another question: so those that came
// together go together, each step for all of them before the next one. A step that
// is going to wait calls [Call.Block]: the others then go on without that question.
type Step func(q *Question)

// Question is a call with its message, on its way through the steps of a method.
type Question struct {
	// Call is the context of what the steps do.
	Call *Call
	// Message is the request's; where it could not be had, Problem says why.
	Message string
	Problem error
	// Room is empty, and may be appended to for the answer. It is used again once
	// that is written.
	Room []byte
	// Answer, or a gRPC status as Failure, is what the last step leaves.
	Answer  []byte
	Failure error
	// State is the method's own, for its next step.
	State any

	steps  Method
	next   int  // step
	stream bool // answers by itself
}

// At makes a method of one step.
func At(answer func(q *Question) ([]byte, error)) Method {
	return Method{func(q *Question) { q.Answer, q.Failure = answer(q) }}
}

// batch are questions that came together, which one goroutine answers.
type batch struct {
	questions [together]Question
	n         int // of them
	steps     int // that the longest method has
}

// add takes a call with its message.
func (b *batch) add(call *Call, text string, problem error, steps Method) {
	q := &b.questions[b.n]
	if q.Room == nil {
		q.Room = make([]byte, 0, answerRoom)
	}
	*q = Question{Call: call, Message: text, Problem: problem, Room: q.Room[:0], steps: steps}
	b.n++
	b.steps = max(b.steps, len(steps))
	call.batch = b
}

// without moves the questions from one on, but for that of a call, to a batch of
// their own.
func (b *batch) without(call *Call, from int) *batch {
	rest := &batch{steps: b.steps}
	for i := from; i < b.n; i++ {
		if q := &b.questions[i]; q.Call != call {
			rest.questions[rest.n] = *q
			q.Call.batch = rest
			rest.n++
			*q = Question{} // all of it went along
		}
	}
	return rest
}

// reset forgets the questions.
func (b *batch) reset() {
	for i := range b.n {
		b.questions[i] = Question{Room: b.questions[i].Room}
	}
	b.n, b.steps = 0, 0
}

// patience is how long those that have come further wait for the others of their
// batch.
const patience = 2 * time.Millisecond

// answer takes the questions of a batch through their steps and writes the answers.
// It is false where one of them blocked, or they took long: another goroutine then
// goes on with the others, and reads on.
func (c *conn) answer(b *batch) bool {
	begun := time.Time{}
	if b.n > 1 {
		begun = time.Now()
	}
	for step := range b.steps {
		for i := range b.n {
			q := &b.questions[i]
			if q.next != step || step >= len(q.steps) {
				continue
			}
			call := q.Call
			call.state.Store(stepping)
			c.server.step(q)
			if !call.state.CompareAndSwap(stepping, idle) {
				c.alone(q)
				return false
			}
			if i+1 < b.n && time.Since(begun) > patience {
				go c.serve(b.without(nil, i+1))
				for j := range i + 1 {
					b.questions[j].Call.state.Store(blocked)
					c.alone(&b.questions[j])
				}
				return false
			}
		}
	}
	for i := range b.n {
		c.finish(&b.questions[i])
	}
	b.reset()
	return true
}

// alone takes a question through what is left of its steps, and writes the answer.
func (c *conn) alone(q *Question) {
	for q.next < len(q.steps) {
		c.server.step(q)
	}
	c.finish(q)
}
