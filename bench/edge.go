package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"net"
	"strconv"
	"strings"
	"text/template"
	"time"
)

//go:embed edge.yaml
var edgeYAML string

// edgeConfig puts a listener in front of each server: what is allowed is
// answered by Envoy itself, so that nothing but the check is measured.
func edgeConfig(servers []*server) (string, error) {
	t, err := template.New("edge").Parse(edgeYAML)
	if err != nil {
		return "", err
	}
	type listener struct{ Name, Port, Socket string }
	var listeners []listener
	for i, s := range servers {
		_, port, err := net.SplitHostPort(s.edge)
		if err != nil {
			return "", err
		}
		listeners = append(listeners, listener{"server" + strconv.Itoa(i), port, s.unix})
	}
	var b strings.Builder
	err = t.Execute(&b, listeners)
	return b.String(), err
}

// httpLoop asks Envoy over and over on connections of its own, each request
// when the one before was answered.
func httpLoop(address string, connections int, length time.Duration, q *questions) (*tally, error) {
	end := time.Now().Add(length)
	return together(connections, func(i int, own *tally) error {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		in := bufio.NewReaderSize(c, 32<<10)
		for at := i * 7919; time.Now().Before(end); at++ {
			started, n := time.Now(), at%len(q.http)
			if _, err := c.Write(q.http[n]); err != nil {
				return err
			}
			status, err := readAnswer(in)
			if err != nil {
				return err
			}
			own.times = append(own.times, time.Since(started).Nanoseconds())
			own.sample(status == 200, q.check(n, verdict{allowed: status == 200}))
		}
		return nil
	})
}

// readAnswer reads an HTTP/1.1 answer with a content-length, as Envoy's are.
func readAnswer(in *bufio.Reader) (status int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return 0, fmt.Errorf("read a status line: %q, %w", line, err)
	}
	status, err = strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, err
	}
	length := 0
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && string(name) == "content-length" {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		}
	}
	_, err = in.Discard(length)
	return status, err
}
