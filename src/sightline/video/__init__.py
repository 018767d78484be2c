"""Video in and out: probing, frames one after the other, writing, and unpacking into pictures.

`probe.py` says what a file holds without decoding it, `source.py` opens a file, a folder of numbered
pictures, a pipe, an address or a camera as a stream of `VideoFrame`s, `writer.py` writes H.264, and
`unpack.py` turns the frames that a data set needs into pictures. No file of this folder needs torch,
and PyAV, from the extra `video`, is imported when it is first used. Next: library.py
"""
