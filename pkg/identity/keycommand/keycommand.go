package keycommand

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/program"
)

// DefaultTimeout is how long one call of the program may take.
const DefaultTimeout = 10 * time.Second

// Signer signs by a program. It is safe for concurrent use if the program is.
type Signer struct {
	argv    []string
	timeout time.Duration
	public  *ecdsa.PublicKey
}

// Open asks the program for its public key. A timeout of 0 means DefaultTimeout.
func Open(ctx context.Context, argv []string, timeout time.Duration) (*Signer, error) {
	if len(argv) == 0 || argv[0] == "" {
		return nil, errors.New("open key command: no program given")
	}
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	s := &Signer{argv: argv, timeout: timeout}
	answer, err := s.call(ctx, "public-key", nil)
	if err != nil {
		return nil, fmt.Errorf("read public key of key command: %w", err)
	}
	block, rest := pem.Decode(answer)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("read public key of key command %s: it did not print one PEM block \"PUBLIC KEY\"", argv[0])
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read public key of key command %s: %w", argv[0], err)
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("read public key of key command %s: it is a %s, must be ECDSA P-256", argv[0], kind(parsed))
	}
	s.public = public
	return s, nil
}

// Public implements crypto.Signer.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign implements crypto.Signer for digests of SHA-256. The random source is
// the program's own. A signature that is not by the program's key is an error.
func (s *Signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.SHA256 || len(digest) != sha256.Size {
		return nil, fmt.Errorf("sign by key command: the digest is %v of %d bytes, must be SHA-256", opts.HashFunc(), len(digest))
	}
	answer, err := s.call(context.Background(), "sign", []byte(hex.EncodeToString(digest)+"\n"))
	if err != nil {
		return nil, fmt.Errorf("sign by key command: %w", err)
	}
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(answer)))
	if err != nil || !ecdsa.VerifyASN1(s.public, digest, signature) {
		return nil, fmt.Errorf("sign by key command: %s did not print a signature by its key in base64", s.argv[0])
	}
	return signature, nil
}

func (s *Signer) call(ctx context.Context, verb string, input []byte) ([]byte, error) {
	return program.Ask(ctx, append(s.argv[:len(s.argv):len(s.argv)], verb), input, s.timeout)
}

func kind(key any) string {
	switch key.(type) {
	case *ecdsa.PublicKey:
		return "key of another curve"
	case ed25519.PublicKey:
		return "Ed25519 key"
	}
	return fmt.Sprintf("%T", key)
}
