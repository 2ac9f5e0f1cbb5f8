package unary

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// incoming is what came of a request's message: five bytes that say whether it is
// compressed and how long it is, then the message.
type incoming struct {
	body     []byte
	length   int64 // of the body, as content-length says; -1: it does not
	came     int64 // of the body
	recvLeft int64 // what the other end may still send on this stream
	complete bool  // it has ended its side
}

// prefix is the length of what stands before each message.
const prefix = 5

// message is the one message of a body, copied out of what is used again.
func message(body []byte) (string, error) {
	switch {
	case len(body) == 0:
		return "", errors.New("there is no message")
	case len(body) < prefix:
		return "", fmt.Errorf("the message ends after %d bytes", len(body))
	case body[0] != 0:
		return "", errors.New("the message is compressed, which this server does not take")
	}
	switch length := int64(binary.BigEndian.Uint32(body[1:])); {
	case length > int64(len(body)-prefix):
		return "", fmt.Errorf("the message is to have %d bytes and ends after %d", length, len(body)-prefix)
	case length < int64(len(body)-prefix):
		return "", errors.New("there is more than one message")
	}
	return string(body[prefix:]), nil
}

// framed puts what stands before a message before it.
func framed(to, message []byte) []byte {
	to = append(to, 0)
	to = binary.BigEndian.AppendUint32(to, uint32(len(message))) //nolint:gosec // answers are small
	return append(to, message...)
}
