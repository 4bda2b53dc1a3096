package attest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Files that Equip writes.
const (
	CertFile    = "attest.crt"
	KeyFile     = "attest.key"
	PayloadName = "attest.payload"
)

const localYears = 10

// Local vouches for the nodes that this machine itself brings up: it hands each
// its evidence beforehand, and recognizes it again. It is safe for concurrent use.
type Local struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	// CertificateAuthority judges the client certificates that Equip makes.
	CertificateAuthority
}

// OpenLocal opens the authority kept in dir as attest-ca.key and attest-ca.crt,
// and makes what is missing. nil is time.Now.
func OpenLocal(dir string, now func() time.Time) (*Local, error) {
	if now == nil {
		now = time.Now
	}
	key, _, err := identity.LoadOrCreateKey(filepath.Join(dir, "attest-ca.key"))
	if err != nil {
		return nil, fmt.Errorf("open attestation authority: %w", err)
	}
	l := &Local{key: key, CertificateAuthority: CertificateAuthority{File: filepath.Join(dir, "attest-ca.crt"), Now: now}}
	l.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fleetfold attestation on this machine"},
		NotBefore: now().Add(-identity.SkewMargin), NotAfter: now().AddDate(localYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	// The certificate is made anew at each start: only this process and the
	// nodes it equips read it, and so it never ends while they run.
	der, err := x509.CreateCertificate(rand.Reader, l.cert, l.cert, key.Public(), key)
	if err == nil {
		err = identity.WriteFileAtomic(l.File, encode("CERTIFICATE", der), 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("open attestation authority: %w", err)
	}
	return l, nil
}

// Equip writes a node's evidence of both kinds into its folder: a client
// certificate that names it, the key, and a payload.
func (l *Local) Equip(id fleet.NodeID, folder string) error {
	key, _, err := identity.LoadOrCreateKey(filepath.Join(folder, KeyFile))
	if err != nil {
		return fmt.Errorf("equip node %q: %w", id, err)
	}
	der, err := l.certify(id, key.Public())
	if err != nil {
		return fmt.Errorf("equip node %q: %w", id, err)
	}
	signature, err := ecdsa.SignASN1(rand.Reader, l.key, voucher(id))
	if err != nil {
		return fmt.Errorf("equip node %q: %w", id, err)
	}
	err = errors.Join(
		identity.WriteFileAtomic(filepath.Join(folder, CertFile), encode("CERTIFICATE", der), 0o644),
		identity.WriteFileAtomic(filepath.Join(folder, PayloadName), []byte(base64.StdEncoding.EncodeToString(signature)+"\n"), 0o600),
	)
	if err != nil {
		return fmt.Errorf("equip node %q: %w", id, err)
	}
	return nil
}

// Verifiers judges evidence of both kinds.
func (l *Local) Verifiers() Verifiers {
	return Verifiers{fleet.AttestorMTLSCert: l.CertificateAuthority, fleet.AttestorNodePlugin: vouchers{l}}
}

// vouchers is the Verifier of the payloads.
type vouchers struct{ local *Local }

func (v vouchers) Verify(_ context.Context, c Challenge, e Evidence) error {
	signature, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil || !ecdsa.VerifyASN1(&v.local.key.PublicKey, voucher(c.Node), signature) {
		return refuse(ReasonSignature, "the payload was not made on this machine for this node")
	}
	return nil
}

func voucher(id fleet.NodeID) []byte {
	digest := sha256.Sum256([]byte("fleetfold voucher, version 1\x00" + string(id)))
	return digest[:]
}

// ProversIn finds the evidence that Equip, or a person, has put into a folder
// under its usual names.
func ProversIn(folder string) Provers {
	p := Provers{}
	if exists(filepath.Join(folder, CertFile)) && exists(filepath.Join(folder, KeyFile)) {
		p[fleet.AttestorMTLSCert] = ClientCertificate{CertFile: filepath.Join(folder, CertFile), KeyFile: filepath.Join(folder, KeyFile)}
	}
	if path := filepath.Join(folder, PayloadName); exists(path) {
		p[fleet.AttestorNodePlugin] = PayloadFile{Path: path}
	}
	return p
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func encode(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}

// Prove makes evidence of that kind for a node that runs in this very process:
// it is Equip for those who have no folder.
func (l *Local) Prove(_ context.Context, kind fleet.Attestor, c Challenge) (*Evidence, error) {
	e := &Evidence{Attestor: kind}
	if kind == fleet.AttestorNodePlugin {
		signature, err := ecdsa.SignASN1(rand.Reader, l.key, voucher(c.Node))
		if err != nil {
			return nil, fmt.Errorf("vouch for node %q: %w", c.Node, err)
		}
		e.Payload = base64.StdEncoding.EncodeToString(signature)
		return e, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("vouch for node %q: %w", c.Node, err)
	}
	der, err := l.certify(c.Node, key.Public())
	if err != nil {
		return nil, fmt.Errorf("vouch for node %q: %w", c.Node, err)
	}
	e.CertificatePEM = string(encode("CERTIFICATE", der))
	if e.Signature, err = sign(key, c.statement()); err != nil {
		return nil, fmt.Errorf("vouch for node %q: %w", c.Node, err)
	}
	return e, nil
}

// certify makes a client certificate that names the node.
func (l *Local) certify(id fleet.NodeID, key crypto.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: string(id)},
		NotBefore: l.cert.NotBefore, NotAfter: l.cert.NotAfter, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return x509.CreateCertificate(rand.Reader, leaf, l.cert, key, l.key)
}
