package keycommand

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

const behaviour = "KEYCOMMAND_TEST_BEHAVIOUR"

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if how := os.Getenv(behaviour); how != "" {
		os.Exit(play(how, os.Args[1], os.Args[2]))
	}
	os.Exit(m.Run())
}

// play signs with the key in a file, as it should or otherwise.
func play(how, keyFile, verb string) int {
	key, _, err := identity.LoadOrCreateKey(keyFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if how == "another key" && verb == "sign" {
		key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	switch {
	case how == "fails on "+verb:
		fmt.Fprintln(os.Stderr, "the module is locked")
		return 3
	case how == "hangs on "+verb:
		select {}
	case how == "rubbish on "+verb:
		fmt.Println("lorem ipsum")
	case how == "floods on "+verb:
		for range 1 << 16 {
			fmt.Println(strings.Repeat("x", 64))
		}
	case verb == "public-key":
		var public any = key.Public()
		if how == "another kind" {
			public, _, _ = ed25519.GenerateKey(rand.Reader)
		}
		der, _ := x509.MarshalPKIXPublicKey(public)
		_ = pem.Encode(os.Stdout, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
	default:
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		digest, _ := hex.DecodeString(strings.TrimSpace(line))
		signature, _ := ecdsa.SignASN1(rand.Reader, key, digest)
		fmt.Println(base64.StdEncoding.EncodeToString(signature))
	}
	return 0
}

func argv(t *testing.T, how string) []string {
	t.Helper()
	t.Setenv(behaviour, how)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each call takes a second more
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, filepath.Join(t.TempDir(), "module.key")}
}

// The issuer's key never lies in its folder, and everything it signs holds.
func TestAnIssuerWhoseKeyAProgramHolds(t *testing.T) {
	signer, err := Open(t.Context(), argv(t, "well"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	now, dir := time.Now(), filepath.Join(t.TempDir(), "ca")
	root, created, err := identity.OpenCA(identity.CAConfig{Dir: dir, TrustDomain: "example.org", Signer: signer}, now)
	if err != nil || !created {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 || files[0].Name() != "ca.crt" {
		t.Errorf("the folder holds %v", files)
	}
	region, _, err := identity.OpenCA(identity.CAConfig{Dir: filepath.Join(dir, "nyc"), TrustDomain: "example.org", Parent: root, Region: "nyc"}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, ca := range []*identity.CA{root, region} {
		issued, err := ca.Issue(request(t), "n", time.Hour, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.VerifyLeaf(issued.CertificatePEM, [][]byte{root.CertificatePEM()}, "example.org", "n", now); err != nil {
			t.Error(err)
		}
	}
	list, err := root.CRL(nil, 1, now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.ParseCRL(list, root.CertificatePEM()); err != nil {
		t.Error(err)
	}
}

func request(t *testing.T) *x509.CertificateRequest {
	t.Helper()
	key, _, err := identity.LoadOrCreateKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := identity.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := identity.ParseCSR(text)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestProgramsThatDoNotSign(t *testing.T) {
	for how, says := range map[string]string{
		"fails on public-key":   "the module is locked",
		"hangs on public-key":   "did not end within",
		"rubbish on public-key": "did not print one PEM block",
		"floods on public-key":  "did not print one PEM block",
		"another kind":          "must be ECDSA P-256",
		"fails on sign":         "the module is locked",
		"hangs on sign":         "did not end within",
		"rubbish on sign":       "did not print a signature",
		"floods on sign":        "did not print a signature",
		"another key":           "did not print a signature by its key",
	} {
		t.Run(how, func(t *testing.T) {
			limit := time.Minute
			if strings.HasPrefix(how, "hangs") {
				limit = time.Second
			}
			signer, err := Open(t.Context(), argv(t, how), limit)
			if err == nil {
				_, _, err = identity.OpenCA(identity.CAConfig{Dir: t.TempDir(), TrustDomain: "example.org", Signer: signer}, time.Now())
			}
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "lorem") || strings.Contains(err.Error(), "xxxx") {
				t.Error("the error quotes what the program printed")
			}
		})
	}
}

func TestNoProgram(t *testing.T) {
	for _, argv := range [][]string{nil, {""}, {filepath.Join(t.TempDir(), "missing")}} {
		if _, err := Open(context.Background(), argv, 0); err == nil {
			t.Errorf("%q was opened", argv)
		}
	}
}
