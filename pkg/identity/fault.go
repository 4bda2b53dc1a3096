package identity

import (
	"errors"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Why a key, certificate or credential in a file is not taken. Each is a stable label
// of facts and metrics.
const (
	// FilePermissions: others than its owner can get at a secret.
	FilePermissions fleet.Reason = "file_permissions"
	// FileDamaged: it is not, or is no longer, what it was written as.
	FileDamaged fleet.Reason = "file_damaged"
	// FileMismatch: it is whole, and belongs to somebody or something else.
	FileMismatch fleet.Reason = "file_mismatch"
)

// IsFileReason says whether a reason is one of a FileError.
func IsFileReason(reason fleet.Reason) bool {
	return reason == FilePermissions || reason == FileDamaged || reason == FileMismatch
}

// FileError is about a file that is not taken, and was left as it is. Its text is
// that of Err, and holds no secret.
type FileError struct {
	Path   string
	Reason fleet.Reason
	Err    error
}

func (e *FileError) Error() string { return e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

// FileRefusal is the FileError in err's tree as a refusal whose detail is all that
// err says; nil if there is none.
func FileRefusal(err error) *Refusal {
	if file, ok := errors.AsType[*FileError](err); ok {
		return &Refusal{Reason: file.Reason, Detail: err.Error()}
	}
	return nil
}

func fault(path string, reason fleet.Reason, err error) error {
	return &FileError{Path: path, Reason: reason, Err: err}
}
