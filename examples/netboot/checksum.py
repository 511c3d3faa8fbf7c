"""A program for a bare PC: prints the CRC-32 of the file that was loaded beside it, and halts.

iPXE cannot compute a checksum, so the image is handed to this program, as a Linux kernel gets its
initrd. It follows the Multiboot standard, version 1: a header of eight words, then code that runs
in 32-bit mode, with EBX pointing at what the loader says of itself. Output goes to the first serial
port.
"""

import struct

LOAD = 0x100000
HEADER_SIZE = 32
MAGIC, ADDRESSES_FOLLOW = 0x1BADB002, 0x10000
PREFIX = b"\r\nCRC-32 ==> "

CODE = """
    8b 5b 18       |        mov ebx, [ebx+24]   the table of modules
    8b 33          |        mov esi, [ebx]      begin of the first module
    8b 4b 04       |        mov ecx, [ebx+4]    and its end
    29 f1          |        sub ecx, esi
    83 c8 ff       |        or eax, -1
    e3 14          |        jecxz done
    32 06          | next:  xor al, [esi]       eax is the checksum so far
    46             |        inc esi
    b2 08          |        mov dl, 8
    d1 e8          | bit:   shr eax, 1
    73 05          |        jnc zero
    35 20 83 b8 ed |        xor eax, 0xedb88320
    fe ca          | zero:  dec dl
    75 f3          |        jnz bit
    e2 ec          |        loop next
    f7 d0          | done:  not eax
    89 c3          |        mov ebx, eax
    be 88 00 10 00 |        mov esi, 0x100088   the prefix, which follows the code
    b1 0d          |        mov cl, 13          and its length
    ac             | say:   lodsb
    e8 23 00 00 00 |        call put
    e2 f8          |        loop say
    b1 08          |        mov cl, 8
    c1 c3 04       | digit: rol ebx, 4
    88 d8          |        mov al, bl
    24 0f          |        and al, 15
    3c 0a          |        cmp al, 10
    1c 69          |        sbb al, 0x69
    2f             |        das                 al is the digit, 0 to 9 or A to F
    0c 20          |        or al, 0x20         in lower case
    e8 0c 00 00 00 |        call put
    e2 eb          |        loop digit
    b0 0a          |        mov al, 10
    e8 03 00 00 00 |        call put
    f4             | halt:  hlt
    eb fd          |        jmp halt
    88 c4          | put:   mov ah, al
    66 ba fd 03    |        mov dx, 0x3fd       status of the serial port
    ec             | busy:  in al, dx
    a8 20          |        test al, 0x20
    74 fb          |        jz busy
    b2 f8          |        mov dl, 0xf8        its data
    88 e0          |        mov al, ah
    ee             |        out dx, al
    c3             |        ret
"""


def program() -> bytes:
    """Return the program as iPXE's `kernel` command loads it."""
    code = b"".join(bytes.fromhex(line.partition("|")[0]) for line in CODE.splitlines())
    magic = (MAGIC, ADDRESSES_FOLLOW, -(MAGIC + ADDRESSES_FOLLOW) & 0xFFFFFFFF)
    addresses = (LOAD, LOAD, 0, 0, LOAD + HEADER_SIZE)
    return struct.pack("<8I", *magic, *addresses) + code + PREFIX
