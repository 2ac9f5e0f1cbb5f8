// Package notify tells people what happened to tokens: by mail, and by signed
// webhooks.
//
// A command of the inventory writes [Event]s into the outbox in its own
// transaction. A [Sender] turns an event into one [Job] for each recipient
// ([Address]), and a job into a [Message] by the [Templates] when it is sent: so a
// message tells how things stand then, and one about what is settled meanwhile
// is not sent at all. A [Planner] adds the events that time brings: an end that
// comes near, a reminder, a dated policy.
//
// Delivery is at least once. A job is leased before it is sent and marked
// afterwards; a sender that dies in between leaves it to the next one, which may
// repeat the message under the same Message-ID. Nothing else repeats one.
package notify
