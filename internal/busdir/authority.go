package busdir

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

const (
	authorityYears = 10
	leafYears      = 1
)

// authority signs the certificates of the bus.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
	now  time.Time
}

// openAuthority never replaces a certificate: everybody trusts that very one.
func openAuthority(dir string, now time.Time) (*authority, error) {
	certPath, keyPath := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	if exists(certPath) && !exists(keyPath) {
		return nil, fmt.Errorf("open authority of the bus: %s is there but its key %s is not: restore it from a backup", certPath, keyPath)
	}
	if err := identity.OwnFolder(dir); err != nil {
		return nil, fmt.Errorf("open authority of the bus: %w", err)
	}
	key, _, err := identity.LoadOrCreateKey(keyPath)
	if err != nil {
		return nil, fmt.Errorf("open authority of the bus: %w", err)
	}
	a := &authority{key: key, now: now}
	if !exists(certPath) {
		if err := a.create(certPath); err != nil {
			return nil, fmt.Errorf("make authority of the bus: %w", err)
		}
	}
	if a.cert, a.pem, err = readCertificate(certPath); err != nil {
		return nil, fmt.Errorf("open authority of the bus: %w", err)
	}
	switch {
	case !key.PublicKey.Equal(a.cert.PublicKey):
		err = errors.New("is for another key than the one beside it")
	case !a.cert.IsCA:
		err = errors.New("is not one of a CA")
	case now.After(a.cert.NotAfter) || now.Before(a.cert.NotBefore):
		err = fmt.Errorf("is valid from %s to %s", a.cert.NotBefore.Format(time.RFC3339), a.cert.NotAfter.Format(time.RFC3339))
	}
	if err != nil {
		return nil, fmt.Errorf("open authority of the bus: certificate %s %w", certPath, err)
	}
	return a, nil
}

func (a *authority) create(path string) error {
	serial, err := newSerial()
	if err != nil {
		return err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "fleetfold bus"},
		NotBefore: a.now.Add(-identity.SkewMargin), NotAfter: a.now.AddDate(authorityYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		return err
	}
	return identity.WriteFileAtomic(path, encode(der), 0o644)
}

// name is what a certificate says: the URI of a client, or the addresses of
// the server. It has no subject, so that nobody can be taken for a name in it.
type name struct {
	uri   string
	dns   []string
	ips   []net.IP
	usage []x509.ExtKeyUsage
}

func client(uri string) name {
	return name{uri: uri, usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// route is good for both ends of a route: each server calls, and is called.
func route(hosts []string) name {
	n := server(hosts)
	n.usage = append(n.usage, x509.ExtKeyUsageClientAuth)
	return n
}

// server sorts hosts into names and addresses.
func server(hosts []string) name {
	n := name{usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			n.ips = append(n.ips, ip)
		} else {
			n.dns = append(n.dns, h)
		}
	}
	return n
}

// issue makes the key where there is none, and the certificate where there is
// none that fits.
func (a *authority) issue(certPath, keyPath string, n name) (change, error) {
	key, made, err := identity.LoadOrCreateKey(keyPath)
	if err != nil {
		return kept, err
	}
	if cert, _, err := readCertificate(certPath); err == nil && a.fits(cert, &key.PublicKey, n) {
		return kept, nil
	}
	der, err := a.sign(key.Public(), n)
	if err != nil {
		return kept, fmt.Errorf("sign %s: %w", certPath, err)
	}
	if err := identity.WriteFileAtomic(certPath, encode(der), 0o644); err != nil {
		return kept, err
	}
	if made {
		return created, nil
	}
	return renewed, nil
}

func (a *authority) sign(key crypto.PublicKey, n name) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, DNSNames: n.dns, IPAddresses: n.ips,
		NotBefore: a.now.Add(-identity.SkewMargin), NotAfter: earlier(a.now.AddDate(leafYears, 0, 0), a.cert.NotAfter),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: n.usage,
	}
	if n.uri != "" {
		uri, err := url.Parse(n.uri)
		if err != nil {
			return nil, err
		}
		tmpl.URIs = []*url.URL{uri}
	}
	return x509.CreateCertificate(rand.Reader, tmpl, a.cert, key, a.key)
}

// fits says whether a certificate says what is so, and for long enough: a third
// of its time is left to those who run this again only now and then.
func (a *authority) fits(cert *x509.Certificate, key interface{ Equal(crypto.PublicKey) bool }, n name) bool {
	uri := ""
	for _, u := range cert.URIs {
		uri += u.String()
	}
	life := cert.NotAfter.Sub(cert.NotBefore)
	return key.Equal(cert.PublicKey) && cert.CheckSignatureFrom(a.cert) == nil && uri == n.uri &&
		slices.Equal(cert.DNSNames, n.dns) && slices.EqualFunc(cert.IPAddresses, n.ips, net.IP.Equal) &&
		slices.Equal(cert.ExtKeyUsage, n.usage) && a.now.Before(cert.NotAfter.Add(-life/3))
}

func earlier(x, y time.Time) time.Time {
	if x.Before(y) {
		return x
	}
	return y
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// readCertificate wants one certificate and nothing else.
func readCertificate(path string) (*x509.Certificate, []byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil, fmt.Errorf("read %s: it is not one certificate in PEM: restore it from a backup", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return cert, text, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
