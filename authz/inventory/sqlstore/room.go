package sqlstore

import (
	"errors"
	"syscall"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// room says of an error that it comes of a full disk, where it does.
func (s *Store) room(err error) error {
	if err == nil || !errors.Is(err, syscall.ENOSPC) && !s.dialect.full(err) {
		return err
	}
	return &inventory.Full{Database: s.name, Err: err}
}
