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
	"os/exec"
	"strings"
	"time"
)

// DefaultTimeout is how long one call of the program may take.
const DefaultTimeout = 10 * time.Second

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 16 << 10

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

// call runs the program. What it prints is never part of an error, for it
// could be a secret; what it says on standard error is.
func (s *Signer) call(ctx context.Context, verb string, input []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.argv[0], append(s.argv[1:len(s.argv):len(s.argv)], verb)...)
	// A child that keeps the pipes open must not keep us.
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(input)
	out, problems := limited{left: maxAnswer}, limited{left: 512}
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s %s did not end within %s", s.argv[0], verb, s.timeout)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w: %s", s.argv[0], verb, err, strings.TrimSpace(problems.String()))
	}
	return out.Bytes(), nil
}

// limited keeps the beginning of what is written to it.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	kept := p[:min(len(p), l.left)]
	l.left -= len(kept)
	l.Buffer.Write(kept)
	return len(p), nil
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
