// Unpacks the layers of an image as container runtimes do. A line of input is the layers, lowest first, each in base64, with commas
// between; the answer is a line of JSON.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/log"
	"golang.org/x/sys/unix"
)

// An entry as archive/tar reads it. Names are base64: they are bytes.
type entry struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Link  string `json:"link"`
	Size  int64  `json:"size"`
	Crc32 uint32 `json:"crc32"`
}

type read struct {
	Entries []entry `json:"entries"`
	Error   string  `json:"error,omitempty"`
}

// A file system: for each path (base64) what is there. The content of a file as a checksum, or the target of a link.
type unpacked struct {
	Files map[string]string `json:"files"`
	Error string            `json:"error,omitempty"`
}

type answer struct {
	// Each layer by itself.
	Layers []read `json:"layers"`
	// All layers, unpacked on top of each other into one folder (containerd's native snapshotter).
	Native unpacked `json:"native"`
	// Each layer unpacked by itself, as containerd's overlayfs snapshotter does, and the layers then laid over each other.
	Overlay unpacked `json:"overlay"`
}

func text(name string) string { return base64.StdEncoding.EncodeToString([]byte(name)) }

func why(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func open(layer []byte) (io.Reader, error) { return compression.DecompressStream(bytes.NewReader(layer)) }

func readLayer(layer []byte) read {
	said := read{Entries: []entry{}}
	from, err := open(layer)
	if err != nil {
		return read{said.Entries, why(err)}
	}
	archive := tar.NewReader(from)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			said.Error = why(err)
			return said
		}
		sum := crc32.NewIEEE()
		size, err := io.Copy(sum, archive)
		if err != nil {
			said.Error = why(err)
			return said
		}
		said.Entries = append(said.Entries, entry{text(header.Name), string(rune(header.Typeflag)), text(header.Linkname), size, sum.Sum32()})
	}
	_, err = io.Copy(io.Discard, from)
	said.Error = why(err)
	return said
}

func contentOf(path string, info fs.FileInfo) (string, error) {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "folder", nil
	case mode.IsRegular():
		content, err := os.ReadFile(path)
		return fmt.Sprintf("file %d %08x", len(content), crc32.ChecksumIEEE(content)), err
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return "link " + text(target), err
	default:
		return "other", nil
	}
}

// walk calls visit for everything below root, a folder before what is in it; a folder is left out if visit says so.
func walk(root string, visit func(path string, info fs.FileInfo) error) error {
	return filepath.Walk(root, func(path string, info fs.FileInfo, err error) error {
		if err != nil || path == root {
			return err
		}
		return visit(strings.TrimPrefix(path, root+"/"), info)
	})
}

func native(layers [][]byte, root string) (map[string]string, error) {
	if err := os.Mkdir(root, 0o755); err != nil {
		return nil, err
	}
	for _, layer := range layers {
		from, err := open(layer)
		if err != nil {
			return nil, err
		}
		if _, err := archive.Apply(context.Background(), root, from, archive.WithNoSameOwner()); err != nil {
			return nil, err
		}
	}
	files := map[string]string{}
	return files, walk(root, func(path string, info fs.FileInfo) error {
		content, err := contentOf(filepath.Join(root, path), info)
		files[path] = content
		return err
	})
}

// remove takes a path out of files, and everything below it.
func remove(files map[string]string, path string) {
	delete(files, path)
	for each := range files {
		if strings.HasPrefix(each, path+"/") {
			delete(files, each)
		}
	}
}

// overlay lays the unpacked layers over each other by the rules of Linux's overlayfs.
func overlay(layers [][]byte, root string) (map[string]string, error) {
	files := map[string]string{}
	for number, layer := range layers {
		upper := fmt.Sprintf("%s%d", root, number)
		if err := os.Mkdir(upper, 0o755); err != nil {
			return nil, err
		}
		from, err := open(layer)
		if err != nil {
			return nil, err
		}
		options := []archive.ApplyOpt{archive.WithNoSameOwner(), archive.WithConvertWhiteout(archive.OverlayConvertWhiteout)}
		if _, err := archive.Apply(context.Background(), upper, from, options...); err != nil {
			return nil, err
		}
		opaque := make([]byte, 1)
		if _, err := unix.Getxattr(upper, "trusted.overlay.opaque", opaque); err == nil {
			clear(files)
		}
		if err := walk(upper, func(path string, info fs.FileInfo) error {
			at := filepath.Join(upper, path)
			var stat unix.Stat_t
			if err := unix.Lstat(at, &stat); err != nil {
				return err
			}
			if stat.Mode&unix.S_IFMT == unix.S_IFCHR && stat.Rdev == 0 {
				remove(files, path)
				return nil
			}
			_, noAttribute := unix.Getxattr(at, "trusted.overlay.opaque", opaque)
			if !info.IsDir() || files[path] != "folder" || noAttribute == nil {
				remove(files, path)
			}
			content, err := contentOf(at, info)
			files[path] = content
			return err
		}); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func named(files map[string]string, err error) unpacked {
	said := unpacked{map[string]string{}, why(err)}
	for path, content := range files {
		said.Files[text(path)] = content
	}
	return said
}

func main() {
	log.SetLevel("panic")
	folder := os.Args[1]
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for number := 0; ; number++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		var layers [][]byte
		said := answer{}
		for _, each := range strings.Split(strings.TrimSpace(line), ",") {
			layer, err := base64.StdEncoding.DecodeString(each)
			if err != nil {
				panic(err)
			}
			layers = append(layers, layer)
			said.Layers = append(said.Layers, readLayer(layer))
		}
		work := fmt.Sprintf("%s/%d", folder, number)
		if err := os.Mkdir(work, 0o755); err != nil {
			panic(err)
		}
		said.Native = named(native(layers, work+"/native"))
		said.Overlay = named(overlay(layers, work+"/layer"))
		if err := os.RemoveAll(work); err != nil {
			panic(err)
		}
		if err := out.Encode(said); err != nil {
			panic(err)
		}
	}
}
