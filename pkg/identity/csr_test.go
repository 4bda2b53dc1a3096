package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func newCSR(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	csr, err := NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func wantCode(t *testing.T, err error, want fleet.Reason) {
	t.Helper()
	if got := fleet.ReasonOf(err); got != want {
		t.Fatalf("code %q, want %q: %v", got, want, err)
	}
}

func TestParseCSR(t *testing.T) {
	p256 := newKey(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := newCSR(t, p256)
	block, _ := pem.Decode(good)
	forged := bytes.Clone(block.Bytes)
	forged[len(forged)-1] ^= 1
	withHeader := pem.EncodeToMemory(&pem.Block{Type: csrBlock, Headers: map[string]string{"a": "b"}, Bytes: block.Bytes})

	for sentence, c := range map[string]struct {
		in   []byte
		want fleet.Reason
	}{
		"an ECDSA P-256 request is accepted":           {good, ""},
		"an Ed25519 request is accepted":               {newCSR(t, ed), ""},
		"white space around it is accepted":            {append([]byte("\n "), append(bytes.Clone(good), '\n')...), ""},
		"a P-384 key is refused":                       {newCSR(t, p384), CSRKeyUnsupported},
		"an RSA key is refused":                        {newCSR(t, rsaKey), CSRKeyUnsupported},
		"a forged signature is refused":                {toPEM(csrBlock, forged), CSRSignature},
		"nothing is refused":                           {nil, CSRUnparsable},
		"text is refused":                              {[]byte("hello"), CSRUnparsable},
		"a request cut off is refused":                 {good[:len(good)-40], CSRUnparsable},
		"text after it is refused":                     {append(bytes.Clone(good), "x"...), CSRUnparsable},
		"a blank that is none in PEM is refused":       {append(bytes.Clone(good), "\u00a0"...), CSRUnparsable},
		"text before it is refused":                    {append([]byte("x\n"), good...), CSRUnparsable},
		"two requests are refused":                     {append(bytes.Clone(good), good...), CSRUnparsable},
		"a block of another type is refused":           {toPEM(certBlock, block.Bytes), CSRUnparsable},
		"a block with headers is refused":              {withHeader, CSRUnparsable},
		"DER after the request is refused":             {toPEM(csrBlock, append(bytes.Clone(block.Bytes), 0)), CSRUnparsable},
		"a request over 64 KiB is refused":             {append(bytes.Clone(good), make([]byte, maxPEMBytes)...), CSRUnparsable},
		"a damaged block before a good one is refused": {append([]byte("-----BEGIN X-----\n!\n"), good...), CSRUnparsable},
	} {
		t.Run(sentence, func(t *testing.T) {
			csr, err := ParseCSR(c.in)
			wantCode(t, err, c.want)
			if (csr == nil) != (err != nil) || (c.want == "") != (err == nil) {
				t.Fatalf("request %v with error %v", csr != nil, err)
			}
		})
	}
}

func FuzzParseCSR(f *testing.F) {
	good := newCSR(f, newKey(f))
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, in []byte) {
		csr, err := ParseCSR(in)
		switch {
		case err != nil && fleet.ReasonOf(err) == "":
			t.Fatalf("an error without a code: %v", err)
		case err == nil && !supportedKey(csr.PublicKey):
			t.Fatal("an unsupported key is accepted")
		}
	})
}
