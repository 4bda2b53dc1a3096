package identity

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFileBytes bounds what is read of a key or certificate file.
const maxFileBytes = 64 << 10

// WriteFileAtomic replaces the file at path by data with the given
// permissions. A reader, or a machine that loses power, sees the old content
// or the new one, never a part. The folder must exist.
func WriteFileAtomic(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(path, data, perm)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(tmp)))
	}
	return syncDir(filepath.Dir(path))
}

// createFile is WriteFileAtomic for a file that must not exist yet: of two
// that try at once, one wins and the other gets fs.ErrExist. It links instead
// of renaming, because a rename overwrites.
func createFile(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(path, data, perm)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	linkErr := os.Link(tmp, path)
	if err := errors.Join(linkErr, os.Remove(tmp)); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// writeTemp writes data, down to the disk, to a new file beside path.
func writeTemp(path string, data []byte, perm fs.FileMode) (name string, err error) {
	// CreateTemp makes the file 0600, so that data is never readable by more
	// people than perm says.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(perm), f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// syncDir makes a new name in dir survive a power loss.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// OwnFolder makes dir where it is missing, and makes it its owner's alone: mode
// 0700. One that others may write to and that holds something already is an error
// that names it: what lies there may be theirs.
func OwnFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	others, writable := info.Mode().Perm()&0o077, info.Mode().Perm()&0o022 != 0
	if others == 0 {
		return nil
	}
	if writable {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("open folder: %w", err)
		}
		if len(entries) > 0 {
			return fault(dir, FilePermissions, fmt.Errorf("open folder %s: its mode is %04o, so others can write to it: if nobody did, run chmod 700 %s; otherwise move it away",
				dir, info.Mode().Perm(), dir))
		}
	}
	// What others can only list may stay so where it cannot be changed.
	if err := os.Chmod(dir, 0o700); err != nil && writable {
		return fmt.Errorf("keep others out of folder %s: %w", dir, err)
	}
	return nil
}

// readSmall reads a regular file of at most maxFileBytes, and its mode as it
// was when it was opened.
func readSmall(path string) ([]byte, fs.FileMode, error) {
	// Stat comes first so that a pipe cannot block the open.
	if info, err := os.Stat(path); err != nil {
		return nil, 0, err
	} else if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, 0, err
	}
	if len(data) > maxFileBytes {
		return nil, 0, fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return data, info.Mode(), nil
}
