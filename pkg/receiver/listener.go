package receiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
)

// Listener gives what net/http refuses by itself, before Handler sees a request, the
// reason and the answer of a refusal, and counts it: headers over the server's
// MaxHeaderBytes (TooLarge, status 431), and what is no request (BadEvent). Hand it to
// http.Server.Serve. Below TLS it does nothing, for it sees what TLS sends.
func (r *Receiver) Listener(l net.Listener) net.Listener { return &listener{l, r} }

type listener struct {
	net.Listener
	receiver *Receiver
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{c, l.receiver}, nil
}

// conn looks at what net/http writes of its own accord: one write of a whole answer,
// after which it hangs up.
type conn struct {
	net.Conn
	receiver *Receiver
}

// CloseWrite lets net/http end what it says before it hangs up.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ownAnswer follows on the status in each answer that net/http gives for itself. That
// of a handler has a date besides.
var ownAnswer = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

func (c *conn) Write(p []byte) (int, error) {
	line, _, _ := bytes.Cut(p, []byte("\r\n"))
	var status int
	if !bytes.HasPrefix(p[len(line):], ownAnswer) {
		return c.Conn.Write(p)
	}
	if _, err := fmt.Sscanf(string(line), "HTTP/1.1 %d ", &status); err != nil {
		return c.Conn.Write(p)
	}
	refusal := refuse(BadEvent, "it is no request of HTTP that can be read")
	if status == http.StatusRequestHeaderFieldsTooLarge {
		refusal = refuse(TooLarge, "its headers are too large or too many")
	}
	if _, err := c.Conn.Write(ownRefusal(string(line), c.receiver.refused("", refusal))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func ownRefusal(line string, refusal *Refusal) []byte {
	body, _ := json.Marshal(Answer{Reason: refusal.Reason, Detail: refusal.Detail}) // two strings
	return fmt.Appendf(nil, "%s\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n%s: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		line, ReasonHeader, refusal.Reason, len(body), body)
}
