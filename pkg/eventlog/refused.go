package eventlog

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// ErrSettings marks errors of Connect that lie in the options or in the files
// they name: another try would only repeat them. errors.Is finds it.
var ErrSettings = errors.New("settings of the connection are not usable")

// ErrUnreachable marks errors that come of a server that is away: the same may
// work later. errors.Is finds it.
var ErrUnreachable = errors.New("the server cannot be reached")

// ConnectError says that there is no connection, and Hint what to do about it.
type ConnectError struct {
	What     string // such as "connect to nats at nats://127.0.0.1:4222"
	Err      error
	settings bool
	hint     string
}

func (e *ConnectError) Error() string { return e.What + ": " + e.Err.Error() }
func (e *ConnectError) Unwrap() error { return e.Err }

// Hint is one sentence for a person.
func (e *ConnectError) Hint() string { return e.hint }

// Is makes the error an ErrSettings or an ErrUnreachable where it is one.
func (e *ConnectError) Is(target error) bool {
	switch target {
	case ErrSettings:
		return e.settings
	case ErrUnreachable:
		return !e.settings && unreachable(e.Err)
	}
	return false
}

// unreachable tells a server that is away from one that does not want us, and
// from one that we do not trust: both answer.
func unreachable(err error) bool {
	var network net.Error
	if aboutTLS(err) || errors.Is(err, nats.ErrAuthorization) {
		return false
	}
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, io.EOF) || errors.As(err, &network)
}

func aboutTLS(err error) bool {
	return strings.Contains(err.Error(), "tls:") || strings.Contains(err.Error(), "x509:")
}

func contextError(name string, err error) error {
	return &ConnectError{
		What: "load nats context " + strconv.Quote(name), Err: err, settings: true,
		hint: "\"nats context ls\" lists the contexts there are; name one with --context",
	}
}

func connectError(urls string, err error) error {
	e := &ConnectError{What: "connect to nats at " + redact(urls), Err: err}
	e.settings, e.hint = diagnose(urls, err)
	return e
}

// diagnose says whether err lies in the settings, and what to do about it.
func diagnose(urls string, err error) (settings bool, hint string) {
	var parse *url.Error
	var files *filesError
	switch {
	case errors.As(err, &files):
		return true, "name files in PEM that are there with --identity, or with --tlscert, --tlskey and --tlsca"
	case errors.As(err, &parse):
		return true, "write the URL as nats://HOST:PORT or tls://HOST:PORT"
	case errors.Is(err, fs.ErrNotExist):
		return true, "name a file that is there with --creds, or mend the context of the nats command"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return false, "name credentials the server accepts with --identity, --creds or --context; if they are new, the server has yet to read its configuration again"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return false, "the server does not speak TLS: name it with nats:// in place of tls://, or switch TLS on there"
	case errors.Is(err, nats.ErrSecureConnRequired), aboutTLS(err):
		return false, "the server wants TLS: name your certificate and its CA with --identity, or with --tlscert, --tlskey and --tlsca, or in a context of the nats command"
	case strings.Contains(urls, "tls://"):
		return false, "start a server with TLS there, or name another with --nats, NATS_URL or --context"
	}
	return false, "start a server there, or name another with --nats, NATS_URL or --context"
}

// offlineError says in plain words that there is no connection.
type offlineError struct{ err error }

func (offlineError) Error() string   { return "not connected to the server" }
func (e offlineError) Unwrap() error { return e.err }

// Is makes it an ErrUnreachable.
func (offlineError) Is(target error) bool { return target == ErrUnreachable }

// plain replaces what the client library says when it is asked to send and is
// not connected: it speaks of a buffer that we do not use.
func plain(err error) error {
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		return offlineError{err}
	}
	return err
}
