package eventlog

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// TLSFiles are files in PEM. They override what the context says, and are read
// anew at each connection, so that a renewed certificate counts at the next.
type TLSFiles struct {
	// Cert and Key are the client's certificate, with its intermediates, and
	// its key: both or neither.
	Cert, Key string
	// CA of the server's certificate; empty means the machine's own roots.
	CA string
}

func (f TLSFiles) options() []nats.Option {
	if f == (TLSFiles{}) {
		return nil
	}
	var cert nats.TLSCertHandler
	if f.Cert != "" {
		cert = func() (tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
			if err != nil {
				return tls.Certificate{}, &filesError{fmt.Errorf("load client certificate %s and key %s: %w", f.Cert, f.Key, err)}
			}
			return pair, nil
		}
	}
	var roots nats.RootCAsHandler
	if f.CA != "" {
		roots = func() (*x509.CertPool, error) {
			text, err := os.ReadFile(f.CA)
			if err != nil {
				return nil, &filesError{fmt.Errorf("load CA of the server: %w", err)}
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(text) {
				return nil, &filesError{fmt.Errorf("load CA of the server: %s holds no certificate", f.CA)}
			}
			return pool, nil
		}
	}
	return []nats.Option{nats.ClientTLSConfig(cert, roots)}
}

// filesError lies in the files that the options name.
type filesError struct{ error }

func (e *filesError) Unwrap() error { return e.error }
