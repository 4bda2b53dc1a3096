package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// identify adds the client certificate. One that the bus knows as a service's
// also says on which inbox answers may come, and whether it may make consumers.
func (n *NATSFlags) identify(o *eventlog.Options) error {
	files, err := n.Files()
	if err != nil || files == (eventlog.TLSFiles{}) {
		return err
	}
	o.TLS = files
	if files.Cert == "" {
		return nil
	}
	if n.Identity != "" && files == InFolder(n.Identity) {
		if err := n.token(o); err != nil {
			return err
		}
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return Usagef("load client certificate %s and key %s: %w", files.Cert, files.Key, err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return Usagef("load client certificate %s: %w", files.Cert, err)
	}
	if r := busconf.RoleOf(leaf); r != "" {
		o.CustomInboxPrefix, o.NoConsumers = r.Inbox(n.Prefix), r.IsPerson()
	}
	return nil
}

// token takes the credentials of the identity's folder, where there are any.
// Those that were typed silence them, and the other way round for the folder.
func (n *NATSFlags) token(o *eventlog.Options) error {
	if info, err := os.Stat(o.TLS.Key); err == nil && info.Mode().Perm()&0o077 != 0 {
		return Usagef("load key %s: its mode is %04o, so others can get at it: if none did, run chmod 600 %s; otherwise have \"fleetfold nats config\" make another", o.TLS.Key, info.Mode().Perm(), o.TLS.Key)
	}
	creds := Creds(n.Identity)
	if creds == "" {
		return nil
	}
	if err := busdir.CheckCreds(creds, time.Now()); err != nil {
		return UsageError(err)
	}
	switch {
	case o.Creds != "" && n.typed("creds") == n.typed("identity"):
		return Usagef("--identity %s has credentials of its own: leave --creds out", n.Identity)
	case o.Creds == "" || n.typed("identity"):
		o.Creds = creds
	}
	return nil
}

// Creds is the file with NATS credentials of an identity's folder; empty where
// there is none, for a server that goes by the certificate.
func Creds(dir string) string {
	file := filepath.Join(dir, busdir.CredsFile)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return file
}

// Files of the client certificate. Those that were typed silence a folder that
// the environment names, and the other way round.
func (n *NATSFlags) Files() (eventlog.TLSFiles, error) {
	given := n.TLS != eventlog.TLSFiles{}
	typed := n.typed("tlscert") || n.typed("tlskey") || n.typed("tlsca")
	switch {
	case n.Identity != "" && given && n.typed("identity") == typed:
		return eventlog.TLSFiles{}, Usagef("--identity stands in place of --tlscert, --tlskey and --tlsca: give one or the others")
	case n.Identity != "" && !typed:
		return InFolder(n.Identity), nil
	case (n.TLS.Cert == "") != (n.TLS.Key == ""):
		return eventlog.TLSFiles{}, Usagef("--tlscert and --tlskey belong together")
	}
	return n.TLS, nil
}

// InFolder are the files of an identity's folder.
func InFolder(dir string) eventlog.TLSFiles {
	return eventlog.TLSFiles{
		Cert: filepath.Join(dir, busdir.CertFile), Key: filepath.Join(dir, busdir.KeyFile), CA: filepath.Join(dir, busdir.CAFile),
	}
}
