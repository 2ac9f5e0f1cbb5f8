package unary

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/status"
)

// Header blocks of answers use no table: each can be read by itself, and is the
// same on every connection.
var (
	answerHead = block(":status", "200", "content-type", "application/grpc")
	answerEnd  = block("grpc-status", "0")
)

// block encodes a list of names and values.
func block(pairs ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSize(0)
	for i := 0; i < len(pairs); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}) // a buffer takes all
	}
	return b.Bytes()
}

// statusPairs are the fields of an error, as gRPC tells one.
func statusPairs(err error) []string {
	s := status.Convert(err)
	text := s.Message()
	return []string{"grpc-status", strconv.Itoa(int(s.Code())), "grpc-message", percent(text[:min(len(text), mostText)])}
}

// mostText is how much of an error's message is told: a header block is one frame.
const mostText = 1 << 10

// errorHead is the header block of an answer that is an error and nothing else.
func errorHead(err error) []byte {
	return block(append([]string{":status", "200", "content-type", "application/grpc"}, statusPairs(err)...)...)
}

// percent encodes a message for grpc-message.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// frameHead is the length of what stands before a frame.
const frameHead = 9

// appendFrame appends what stands before a frame's payload.
func appendFrame(to []byte, kind http2.FrameType, flags http2.Flags, id uint32, length int) []byte {
	to = append(to, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	return binary.BigEndian.AppendUint32(to, id)
}

func appendGoAway(to []byte, last uint32, code http2.ErrCode) []byte {
	to = appendFrame(to, http2.FrameGoAway, 0, 0, 8)
	to = binary.BigEndian.AppendUint32(to, last)
	return binary.BigEndian.AppendUint32(to, uint32(code))
}

func appendReset(to []byte, id uint32, code http2.ErrCode) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(to, http2.FrameRSTStream, 0, id, 4), uint32(code))
}

func appendWindow(to []byte, id uint32, more int64) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(to, http2.FrameWindowUpdate, 0, id, 4), uint32(more)) //nolint:gosec // at most a window
}
