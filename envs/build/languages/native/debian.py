"""Debian's packages (bookworm's names) by what build files and sources call them: one `name=package` for each.

Every package here is in bookworm; a name that is missing is unknown, not absent.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CMAKE", "HEADERS", "LIBRARIES", "PKGCONFIG", "PROGRAMS"]


def _table(text: str) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in text.split())


PKGCONFIG: Final = _table("""
zlib=zlib1g-dev openssl=libssl-dev libssl=libssl-dev libcrypto=libssl-dev libcurl=libcurl4-openssl-dev sqlite3=libsqlite3-dev
libxml-2.0=libxml2-dev libxslt=libxslt1-dev libexslt=libxslt1-dev expat=libexpat1-dev yaml-0.1=libyaml-dev yaml-cpp=libyaml-cpp-dev
jansson=libjansson-dev json-c=libjson-c-dev libcjson=libcjson-dev yajl=libyajl-dev json-glib-1.0=libjson-glib-dev jsoncpp=libjsoncpp-dev
RapidJSON=rapidjson-dev nlohmann_json=nlohmann-json3-dev tinyxml2=libtinyxml2-dev pugixml=libpugixml-dev bzip2=libbz2-dev
liblzma=liblzma-dev libzstd=libzstd-dev liblz4=liblz4-dev libbrotlienc=libbrotli-dev libbrotlidec=libbrotli-dev
libbrotlicommon=libbrotli-dev snappy=libsnappy-dev libdeflate=libdeflate-dev libarchive=libarchive-dev libzip=libzip-dev lzo2=liblzo2-dev
minizip=libminizip-dev libpng=libpng-dev libpng16=libpng-dev libjpeg=libjpeg-dev libturbojpeg=libturbojpeg0-dev libtiff-4=libtiff-dev
libwebp=libwebp-dev giflib=libgif-dev lcms2=liblcms2-dev libopenjp2=libopenjp2-7-dev libheif=libheif-dev libexif=libexif-dev
libavif=libavif-dev libjxl=libjxl-dev freetype2=libfreetype-dev fontconfig=libfontconfig-dev harfbuzz=libharfbuzz-dev fribidi=libfribidi-dev
pixman-1=libpixman-1-dev cairo=libcairo2-dev cairo-gobject=libcairo2-dev pango=libpango1.0-dev pangocairo=libpango1.0-dev
pangoft2=libpango1.0-dev librsvg-2.0=librsvg2-dev gdk-pixbuf-2.0=libgdk-pixbuf-2.0-dev glib-2.0=libglib2.0-dev gobject-2.0=libglib2.0-dev
gio-2.0=libglib2.0-dev gio-unix-2.0=libglib2.0-dev gmodule-2.0=libglib2.0-dev gthread-2.0=libglib2.0-dev gtk+-3.0=libgtk-3-dev
gtk4=libgtk-4-dev gtk+-2.0=libgtk2.0-dev gobject-introspection-1.0=libgirepository1.0-dev vapigen=valac libsoup-2.4=libsoup2.4-dev
libsoup-3.0=libsoup-3.0-dev libsecret-1=libsecret-1-dev libxmlb=libxmlb-dev polkit-gobject-1=libpolkit-gobject-1-dev
gudev-1.0=libgudev-1.0-dev gstreamer-1.0=libgstreamer1.0-dev gstreamer-base-1.0=libgstreamer1.0-dev gstreamer-check-1.0=libgstreamer1.0-dev
gstreamer-plugins-base-1.0=libgstreamer-plugins-base1.0-dev libavcodec=libavcodec-dev libavformat=libavformat-dev libavutil=libavutil-dev
libswscale=libswscale-dev libswresample=libswresample-dev alsa=libasound2-dev libpulse=libpulse-dev jack=libjack-jackd2-dev
sndfile=libsndfile1-dev samplerate=libsamplerate0-dev ogg=libogg-dev vorbis=libvorbis-dev vorbisfile=libvorbis-dev vorbisenc=libvorbis-dev
flac=libflac-dev opus=libopus-dev opusfile=libopusfile-dev speex=libspeex-dev speexdsp=libspeexdsp-dev theora=libtheora-dev
portaudio-2.0=portaudio19-dev fftw3=libfftw3-dev fftw3f=libfftw3-dev libmpg123=libmpg123-dev mad=libmad0-dev taglib=libtag1-dev
id3tag=libid3tag0-dev openal=libopenal-dev sdl2=libsdl2-dev SDL2_image=libsdl2-image-dev SDL2_ttf=libsdl2-ttf-dev
SDL2_mixer=libsdl2-mixer-dev SDL2_net=libsdl2-net-dev sdl=libsdl1.2-dev glfw3=libglfw3-dev glew=libglew-dev gl=libgl-dev egl=libegl-dev
glesv2=libgles-dev glu=libglu1-mesa-dev epoxy=libepoxy-dev vulkan=libvulkan-dev x11=libx11-dev xext=libxext-dev xrandr=libxrandr-dev
xi=libxi-dev xinerama=libxinerama-dev xcursor=libxcursor-dev xrender=libxrender-dev xfixes=libxfixes-dev xft=libxft-dev xt=libxt-dev
xtst=libxtst-dev xcomposite=libxcomposite-dev xdamage=libxdamage-dev xcb=libxcb1-dev xcb-xkb=libxcb-xkb-dev xcb-icccm=libxcb-icccm4-dev
xcb-ewmh=libxcb-ewmh-dev xcb-randr=libxcb-randr0-dev xcb-image=libxcb-image0-dev xcb-keysyms=libxcb-keysyms1-dev xcb-shm=libxcb-shm0-dev
xcb-render=libxcb-render0-dev xkbcommon=libxkbcommon-dev xkbcommon-x11=libxkbcommon-x11-dev xkeyboard-config=xkb-data xorg-macros=xutils-dev
wayland-client=libwayland-dev wayland-server=libwayland-dev wayland-scanner=libwayland-bin wayland-protocols=wayland-protocols
libdrm=libdrm-dev gbm=libgbm-dev libinput=libinput-dev libudev=libudev-dev udev=libudev-dev libevdev=libevdev-dev libsystemd=libsystemd-dev
systemd=libsystemd-dev dbus-1=libdbus-1-dev libusb-1.0=libusb-1.0-0-dev hidapi-libusb=libhidapi-dev hidapi-hidraw=libhidapi-dev
bluez=libbluetooth-dev blkid=libblkid-dev mount=libmount-dev uuid=uuid-dev libcap=libcap-dev libcap-ng=libcap-ng-dev
libseccomp=libseccomp-dev libselinux=libselinux1-dev audit=libaudit-dev libacl=libacl1-dev libattr=libattr1-dev fuse=libfuse-dev
fuse3=libfuse3-dev libkmod=libkmod-dev libelf=libelf-dev libdw=libdw-dev libunwind=libunwind-dev libbpf=libbpf-dev liburing=liburing-dev
numa=libnuma-dev libpcap=libpcap-dev libnl-3.0=libnl-3-dev libnl-genl-3.0=libnl-genl-3-dev libnl-route-3.0=libnl-route-3-dev
libmnl=libmnl-dev libnftnl=libnftnl-dev libnetfilter_queue=libnetfilter-queue-dev libevent=libevent-dev libevent_openssl=libevent-dev
libuv=libuv1-dev libev=libev-dev libzmq=libzmq3-dev nanomsg=libnanomsg-dev libnng=libnng-dev libmosquitto=libmosquitto-dev
librabbitmq=librabbitmq-dev rdkafka=librdkafka-dev hiredis=libhiredis-dev libmemcached=libmemcached-dev libpq=libpq-dev
mysqlclient=default-libmysqlclient-dev libmariadb=libmariadb-dev odbc=unixodbc-dev lmdb=liblmdb-dev leveldb=libleveldb-dev
rocksdb=librocksdb-dev libmongoc-1.0=libmongoc-dev libbson-1.0=libbson-dev protobuf=libprotobuf-dev protobuf-lite=libprotobuf-dev
libprotobuf-c=libprotobuf-c-dev grpc++=libgrpc++-dev capnp=libcapnp-dev flatbuffers=libflatbuffers-dev msgpack=libmsgpack-dev
msgpack-c=libmsgpack-dev libcbor=libcbor-dev thrift=libthrift-dev libmicrohttpd=libmicrohttpd-dev libnghttp2=libnghttp2-dev
libwebsockets=libwebsockets-dev libssh=libssh-dev libssh2=libssh2-1-dev libcares=libc-ares-dev libidn2=libidn2-dev libidn=libidn-dev
libpsl=libpsl-dev librtmp=librtmp-dev libsrtp2=libsrtp2-dev gnutls=libgnutls28-dev nettle=nettle-dev hogweed=nettle-dev
libgcrypt=libgcrypt20-dev gpg-error=libgpg-error-dev gpgme=libgpgme-dev libsodium=libsodium-dev mbedtls=libmbedtls-dev
mbedcrypto=libmbedtls-dev wolfssl=libwolfssl-dev nss=libnss3-dev nspr=libnspr4-dev p11-kit-1=libp11-kit-dev libtasn1=libtasn1-6-dev
libargon2=libargon2-dev libxxhash=libxxhash-dev krb5=libkrb5-dev libsasl2=libsasl2-dev ldap=libldap-dev pam=libpam0g-dev
tss2-esys=libtss2-dev libpkcs11-helper-1=libpkcs11-helper1-dev opensc=opensc ncurses=libncurses-dev ncursesw=libncurses-dev
panel=libncurses-dev tinfo=libncurses-dev readline=libreadline-dev libedit=libedit-dev libbsd=libbsd-dev libbsd-overlay=libbsd-dev
popt=libpopt-dev libconfig=libconfig-dev libconfig++=libconfig++-dev inih=libinih-dev INIReader=libinih-dev libucl=libucl-dev
confuse=libconfuse-dev libpcre=libpcre3-dev libpcrecpp=libpcre3-dev libpcre2-8=libpcre2-dev libpcre2-16=libpcre2-dev
libpcre2-posix=libpcre2-dev oniguruma=libonig-dev re2=libre2-dev icu-uc=libicu-dev icu-i18n=libicu-dev icu-io=libicu-dev
libunistring=libunistring-dev iconv=libc6-dev libgit2=libgit2-dev apr-1=libapr1-dev apr-util-1=libaprutil1-dev gmp=libgmp-dev
mpfr=libmpfr-dev mpc=libmpc-dev gsl=libgsl-dev blas=libblas-dev lapack=liblapack-dev openblas=libopenblas-dev eigen3=libeigen3-dev
glm=libglm-dev hdf5=libhdf5-dev netcdf=libnetcdf-dev proj=libproj-dev gdal=libgdal-dev geos=libgeos-dev opencv4=libopencv-dev
poppler-glib=libpoppler-glib-dev poppler-cpp=libpoppler-cpp-dev libmagic=libmagic-dev libffi=libffi-dev lua=liblua5.4-dev
lua5.1=liblua5.1-0-dev lua5.3=liblua5.3-dev lua5.4=liblua5.4-dev lua53=liblua5.3-dev lua54=liblua5.4-dev luajit=libluajit-5.1-dev
python3=python3-dev python-3.11=python3-dev python3-embed=python3-dev tcl=tcl-dev tk=tk-dev guile-3.0=guile-3.0-dev ruby=ruby-dev
fmt=libfmt-dev spdlog=libspdlog-dev gtest=libgtest-dev gtest_main=libgtest-dev gmock=libgmock-dev gmock_main=libgmock-dev catch2=catch2
catch2-with-main=catch2 check=check cmocka=libcmocka-dev cunit=libcunit1-dev cppunit=libcppunit-dev criterion=libcriterion-dev
cpputest=libcpputest-dev benchmark=libbenchmark-dev doctest=doctest-dev libglog=libgoogle-glog-dev gflags=libgflags-dev
absl_base=libabsl-dev cereal=libcereal-dev tbb=libtbb-dev ompi=libopenmpi-dev libmodbus=libmodbus-dev libftdi1=libftdi1-dev
libgpiod=libgpiod-dev sigc++-2.0=libsigc++-2.0-dev glibmm-2.4=libglibmm-2.4-dev gtkmm-3.0=libgtkmm-3.0-dev Qt5Core=qtbase5-dev
Qt5Widgets=qtbase5-dev Qt5Gui=qtbase5-dev Qt5Test=qtbase5-dev Qt5Network=qtbase5-dev Qt6Core=qt6-base-dev Qt6Test=qt6-base-dev
libnotify=libnotify-dev libcanberra=libcanberra-dev libstatgrab=libstatgrab-dev libyang=libyang2-dev libmaxminddb=libmaxminddb-dev
libtirpc=libtirpc-dev libnsl=libnsl-dev libiscsi=libiscsi-dev zvbi=libzvbi-dev libass=libass-dev libplacebo=libplacebo-dev
libvirt=libvirt-dev librdmacm=librdmacm-dev libibverbs=libibverbs-dev libcotp=libcotp-dev libqrencode=libqrencode-dev
libchewing=libchewing3-dev enchant-2=libenchant-2-dev hunspell=libhunspell-dev libtommath=libtommath-dev libtomcrypt=libtomcrypt-dev
""")
"""By the name of the `.pc` file."""

CMAKE: Final = _table("""
zlib=zlib1g-dev openssl=libssl-dev curl=libcurl4-openssl-dev sqlite3=libsqlite3-dev sqlite=libsqlite3-dev libxml2=libxml2-dev
libxslt=libxslt1-dev expat=libexpat1-dev bzip2=libbz2-dev liblzma=liblzma-dev zstd=libzstd-dev lz4=liblz4-dev snappy=libsnappy-dev
brotli=libbrotli-dev libarchive=libarchive-dev libzip=libzip-dev png=libpng-dev jpeg=libjpeg-dev libjpeg-turbo=libturbojpeg0-dev
tiff=libtiff-dev webp=libwebp-dev gif=libgif-dev freetype=libfreetype-dev fontconfig=libfontconfig-dev harfbuzz=libharfbuzz-dev
boost=libboost-all-dev eigen3=libeigen3-dev fmt=libfmt-dev spdlog=libspdlog-dev gtest=libgtest-dev googletest=googletest gmock=libgmock-dev
catch2=catch2 doctest=doctest-dev benchmark=libbenchmark-dev nlohmann_json=nlohmann-json3-dev rapidjson=rapidjson-dev jsoncpp=libjsoncpp-dev
yaml-cpp=libyaml-cpp-dev yaml=libyaml-dev pugixml=libpugixml-dev tinyxml2=libtinyxml2-dev tinyxml=libtinyxml-dev cjson=libcjson-dev
jansson=libjansson-dev json-c=libjson-c-dev simdjson=libsimdjson-dev cereal=libcereal-dev msgpack=libmsgpack-dev msgpackc=libmsgpack-dev
protobuf=libprotobuf-dev grpc=libgrpc++-dev flatbuffers=libflatbuffers-dev capnproto=libcapnp-dev thrift=libthrift-dev absl=libabsl-dev
abseil=libabsl-dev re2=libre2-dev gflags=libgflags-dev glog=libgoogle-glog-dev leveldb=libleveldb-dev rocksdb=librocksdb-dev
lmdb=liblmdb-dev hiredis=libhiredis-dev postgresql=libpq-dev mysql=default-libmysqlclient-dev mariadb=libmariadb-dev odbc=unixodbc-dev
libevent=libevent-dev libuv=libuv1-dev libev=libev-dev asio=libasio-dev zeromq=libzmq3-dev cppzmq=cppzmq-dev libssh2=libssh2-1-dev
libssh=libssh-dev libgit2=libgit2-dev gnutls=libgnutls28-dev libsodium=libsodium-dev sodium=libsodium-dev mbedtls=libmbedtls-dev
gcrypt=libgcrypt20-dev libgcrypt=libgcrypt20-dev cryptopp=libcrypto++-dev crypto++=libcrypto++-dev botan=libbotan-2-dev
curses=libncurses-dev ncurses=libncurses-dev readline=libreadline-dev libedit=libedit-dev pcre=libpcre3-dev pcre2=libpcre2-dev
icu=libicu-dev iconv=libc6-dev intl=gettext gettext=gettext libintl=gettext gmp=libgmp-dev mpfr=libmpfr-dev gsl=libgsl-dev blas=libblas-dev
lapack=liblapack-dev openblas=libopenblas-dev fftw3=libfftw3-dev fftw=libfftw3-dev hdf5=libhdf5-dev netcdf=libnetcdf-dev gdal=libgdal-dev
proj=libproj-dev geos=libgeos-dev opencv=libopencv-dev armadillo=libarmadillo-dev suitesparse=libsuitesparse-dev ceres=libceres-dev
tbb=libtbb-dev mpi=libopenmpi-dev openmp=libgomp1 opencl=ocl-icd-opencl-dev vulkan=libvulkan-dev opengl=libgl-dev glew=libglew-dev
glfw3=libglfw3-dev glut=freeglut3-dev glm=libglm-dev sdl2=libsdl2-dev sdl2_image=libsdl2-image-dev sdl2_ttf=libsdl2-ttf-dev
sdl2_mixer=libsdl2-mixer-dev sdl=libsdl1.2-dev sfml=libsfml-dev openal=libopenal-dev alsa=libasound2-dev pulseaudio=libpulse-dev
portaudio=portaudio19-dev sndfile=libsndfile1-dev ogg=libogg-dev vorbis=libvorbis-dev flac=libflac-dev opus=libopus-dev
ffmpeg=libavcodec-dev x11=libx11-dev xcb=libxcb1-dev wayland=libwayland-dev ecm=extra-cmake-modules qt5=qtbase5-dev qt5core=qtbase5-dev
qt5widgets=qtbase5-dev qt5test=qtbase5-dev qt6=qt6-base-dev qt=qtbase5-dev qt4=qtbase5-dev wxwidgets=libwxgtk3.2-dev gtk3=libgtk-3-dev
glib=libglib2.0-dev glib2=libglib2.0-dev dbus=libdbus-1-dev udev=libudev-dev libudev=libudev-dev libusb=libusb-1.0-0-dev
libusb1=libusb-1.0-0-dev systemd=libsystemd-dev pcap=libpcap-dev fuse=libfuse-dev fuse3=libfuse3-dev libelf=libelf-dev
libunwind=libunwind-dev llvm=llvm-dev clang=libclang-dev lua=liblua5.4-dev lua51=liblua5.1-0-dev luajit=libluajit-5.1-dev python=python3-dev
python3=python3-dev pythoninterp=python3 pythonlibs=python3-dev pybind11=pybind11-dev perl=perl perllibs=libperl-dev tcl=tcl-dev
ruby=ruby-dev java=default-jdk-headless jni=default-jdk-headless swig=swig bison=bison flex=flex doxygen=doxygen git=git
pkgconfig=pkg-config check=check cmocka=libcmocka-dev cpputest=libcpputest-dev cppunit=libcppunit-dev criterion=libcriterion-dev
cunit=libcunit1-dev range-v3=librange-v3-dev date=libhowardhinnant-date-dev cxxopts=libcxxopts-dev cli11=libcli11-dev tclap=libtclap-dev
docopt=libdocopt-dev args=libargs-dev httplib=libcpp-httplib-dev crow=libasio-dev websocketpp=libwebsocketpp-dev
libwebsockets=libwebsockets-dev nghttp2=libnghttp2-dev c-ares=libc-ares-dev cares=libc-ares-dev cpprestsdk=libcpprest-dev
cpr=libcurl4-openssl-dev poco=libpoco-dev xerces=libxerces-c-dev xercesc=libxerces-c-dev xalanc=libxalan-c-dev mimalloc=libmimalloc-dev
jemalloc=libjemalloc-dev tcmalloc=libgoogle-perftools-dev xxhash=libxxhash-dev backward=libbackward-cpp-dev libbpf=libbpf-dev
libdw=libdw-dev numa=libnuma-dev uuid=uuid-dev libuuid=uuid-dev acl=libacl1-dev libcap=libcap-dev seccomp=libseccomp-dev backtrace=libc6-dev
threads=libc6-dev libmicrohttpd=libmicrohttpd-dev mosquitto=libmosquitto-dev rdkafka=librdkafka-dev imath=libimath-dev
openexr=libopenexr-dev assimp=libassimp-dev bullet=libbullet-dev box2d=libbox2d-dev freeglut=freeglut3-dev soxr=libsoxr-dev
taglib=libtag1-dev libmad=libmad0-dev libxxhash=libxxhash-dev double-conversion=libdouble-conversion-dev utf8cpp=libutfcpp-dev
utf8proc=libutf8proc-dev hunspell=libhunspell-dev minizip=libminizip-dev maxminddb=libmaxminddb-dev trompeloeil=libtrompeloeil-cpp-dev
unittest++=libunittest++-dev concurrentqueue=libconcurrentqueue-dev microsoft.gsl=libmsgsl-dev expected-lite=libexpected-dev
xsimd=libxsimd-dev xtensor=libxtensor-dev libxsmm=libxsmm-dev cddlib=libcdd-dev
""")
"""By the name that `find_package` takes, in lower case."""

HEADERS: Final = _table("""
zlib.h=zlib1g-dev openssl/=libssl-dev curl/=libcurl4-openssl-dev sqlite3.h=libsqlite3-dev libxml/=libxml2-dev libxml2/=libxml2-dev
libxslt/=libxslt1-dev expat.h=libexpat1-dev yaml.h=libyaml-dev yaml-cpp/=libyaml-cpp-dev jansson.h=libjansson-dev json-c/=libjson-c-dev
cjson/=libcjson-dev yajl/=libyajl-dev json/json.h=libjsoncpp-dev rapidjson/=rapidjson-dev nlohmann/=nlohmann-json3-dev bzlib.h=libbz2-dev
lzma.h=liblzma-dev zstd.h=libzstd-dev lz4.h=liblz4-dev lz4frame.h=liblz4-dev brotli/=libbrotli-dev snappy.h=libsnappy-dev
snappy-c.h=libsnappy-dev libdeflate.h=libdeflate-dev archive.h=libarchive-dev zip.h=libzip-dev lzo/=liblzo2-dev png.h=libpng-dev
jpeglib.h=libjpeg-dev turbojpeg.h=libturbojpeg0-dev tiffio.h=libtiff-dev webp/=libwebp-dev gif_lib.h=libgif-dev lcms2.h=liblcms2-dev
ft2build.h=libfreetype-dev fontconfig/=libfontconfig-dev hb.h=libharfbuzz-dev cairo.h=libcairo2-dev cairo/=libcairo2-dev
pixman.h=libpixman-1-dev glib.h=libglib2.0-dev gio/gio.h=libglib2.0-dev gtk/gtk.h=libgtk-3-dev ncurses.h=libncurses-dev
curses.h=libncurses-dev ncursesw/=libncurses-dev term.h=libncurses-dev panel.h=libncurses-dev readline/=libreadline-dev
histedit.h=libedit-dev editline/=libedit-dev bsd/=libbsd-dev popt.h=libpopt-dev libconfig.h=libconfig-dev pcre.h=libpcre3-dev
pcre2.h=libpcre2-dev oniguruma.h=libonig-dev re2/=libre2-dev unicode/=libicu-dev unistr.h=libunistring-dev gmp.h=libgmp-dev
gmpxx.h=libgmp-dev mpfr.h=libmpfr-dev mpc.h=libmpc-dev gsl/gsl_math.h=libgsl-dev cblas.h=libopenblas-dev fftw3.h=libfftw3-dev
lapacke.h=liblapacke-dev Eigen/=libeigen3-dev eigen3/=libeigen3-dev glm/=libglm-dev hdf5.h=libhdf5-dev netcdf.h=libnetcdf-dev
boost/=libboost-all-dev fmt/=libfmt-dev spdlog/=libspdlog-dev gtest/=libgtest-dev gmock/=libgmock-dev catch2/=catch2 catch.hpp=catch2
doctest/=doctest-dev doctest.h=doctest-dev benchmark/=libbenchmark-dev check.h=check cmocka.h=libcmocka-dev CUnit/=libcunit1-dev
cppunit/=libcppunit-dev criterion/=libcriterion-dev CppUTest/=libcpputest-dev UnitTest++/=libunittest++-dev gflags/=libgflags-dev
glog/=libgoogle-glog-dev absl/=libabsl-dev google/protobuf/=libprotobuf-dev protobuf-c/=libprotobuf-c-dev grpcpp/=libgrpc++-dev
capnp/=libcapnp-dev flatbuffers/=libflatbuffers-dev msgpack.h=libmsgpack-dev msgpack.hpp=libmsgpack-dev cbor.h=libcbor-dev
thrift/=libthrift-dev event.h=libevent-dev event2/=libevent-dev uv.h=libuv1-dev ev.h=libev-dev zmq.h=libzmq3-dev zmq.hpp=cppzmq-dev
nanomsg/=libnanomsg-dev nng/=libnng-dev asio.hpp=libasio-dev mosquitto.h=libmosquitto-dev librdkafka/=librdkafka-dev hiredis/=libhiredis-dev
libpq-fe.h=libpq-dev mysql.h=default-libmysqlclient-dev mysql/=default-libmysqlclient-dev sql.h=unixodbc-dev lmdb.h=liblmdb-dev
leveldb/=libleveldb-dev rocksdb/=librocksdb-dev db.h=libdb-dev gdbm.h=libgdbm-dev microhttpd.h=libmicrohttpd-dev nghttp2/=libnghttp2-dev
libwebsockets.h=libwebsockets-dev libssh/=libssh-dev libssh2.h=libssh2-1-dev ares.h=libc-ares-dev idn2.h=libidn2-dev gnutls/=libgnutls28-dev
nettle/=nettle-dev gcrypt.h=libgcrypt20-dev gpgme.h=libgpgme-dev sodium.h=libsodium-dev mbedtls/=libmbedtls-dev wolfssl/=libwolfssl-dev
cryptopp/=libcrypto++-dev argon2.h=libargon2-dev xxhash.h=libxxhash-dev krb5.h=libkrb5-dev krb5/=libkrb5-dev gssapi/=libkrb5-dev
sasl/=libsasl2-dev ldap.h=libldap-dev security/pam_appl.h=libpam0g-dev security/pam_modules.h=libpam0g-dev systemd/=libsystemd-dev
libudev.h=libudev-dev dbus/=libdbus-1-dev libusb-1.0/=libusb-1.0-0-dev libusb.h=libusb-1.0-0-dev bluetooth/=libbluetooth-dev
hidapi/=libhidapi-dev blkid/=libblkid-dev uuid/=uuid-dev sys/capability.h=libcap-dev sys/acl.h=libacl1-dev attr/=libattr1-dev
cap-ng.h=libcap-ng-dev seccomp.h=libseccomp-dev selinux/=libselinux1-dev fuse.h=libfuse-dev libelf.h=libelf-dev gelf.h=libelf-dev
elfutils/=libdw-dev libunwind.h=libunwind-dev bpf/=libbpf-dev liburing.h=liburing-dev numa.h=libnuma-dev pcap.h=libpcap-dev
pcap/=libpcap-dev netlink/=libnl-3-dev libmnl/=libmnl-dev libaio.h=libaio-dev rpc/rpc.h=libtirpc-dev infiniband/=libibverbs-dev
SDL2/=libsdl2-dev SDL.h=libsdl2-dev GLFW/=libglfw3-dev GL/gl.h=libgl-dev GL/glew.h=libglew-dev GL/glut.h=freeglut3-dev
GL/glu.h=libglu1-mesa-dev GLES2/=libgles-dev EGL/=libegl-dev vulkan/=libvulkan-dev CL/=ocl-icd-opencl-dev X11/Xlib.h=libx11-dev
X11/Xutil.h=libx11-dev X11/extensions/Xrandr.h=libxrandr-dev X11/extensions/XInput2.h=libxi-dev X11/extensions/XTest.h=libxtst-dev
X11/extensions/Xinerama.h=libxinerama-dev X11/extensions/Xext.h=libxext-dev X11/Xft/=libxft-dev xcb/=libxcb1-dev xkbcommon/=libxkbcommon-dev
wayland-client.h=libwayland-dev alsa/=libasound2-dev pulse/=libpulse-dev portaudio.h=portaudio19-dev sndfile.h=libsndfile1-dev
ogg/=libogg-dev vorbis/=libvorbis-dev FLAC/=libflac-dev opus/=libopus-dev mpg123.h=libmpg123-dev taglib/=libtag1-dev AL/=libopenal-dev
libavcodec/=libavcodec-dev libavformat/=libavformat-dev libavutil/=libavutil-dev opencv2/=libopencv-dev magic.h=libmagic-dev
ffi.h=libffi-dev lua.h=liblua5.4-dev lua.hpp=liblua5.4-dev Python.h=python3-dev tcl.h=tcl-dev tk.h=tk-dev ruby.h=ruby-dev
jni.h=default-jdk-headless EXTERN.h=libperl-dev git2.h=libgit2-dev apr.h=libapr1-dev libintl.h=libc6-dev pugixml.hpp=libpugixml-dev
tinyxml2.h=libtinyxml2-dev tinyxml.h=libtinyxml-dev cereal/=libcereal-dev tbb/=libtbb-dev mpi.h=libopenmpi-dev omp.h=libgomp1
cxxopts.hpp=libcxxopts-dev CLI/=libcli11-dev tclap/=libtclap-dev range/v3/=librange-v3-dev date/date.h=libhowardhinnant-date-dev
httplib.h=libcpp-httplib-dev valgrind/=valgrind ini.h=libinih-dev Poco/=libpoco-dev xercesc/=libxerces-c-dev qrencode.h=libqrencode-dev
utf8proc.h=libutf8proc-dev utf8.h=libutfcpp-dev double-conversion/=libdouble-conversion-dev modbus/=libmodbus-dev gpiod.h=libgpiod-dev
ftdi.h=libftdi1-dev proj.h=libproj-dev gdal.h=libgdal-dev geos_c.h=libgeos-dev jemalloc/=libjemalloc-dev mimalloc.h=libmimalloc-dev
tommath.h=libtommath-dev tomcrypt.h=libtomcrypt-dev maxminddb.h=libmaxminddb-dev QtTest/=qtbase5-dev
QtCore/=qtbase5-dev hs/hs.h=libhyperscan-dev hs.h=libhyperscan-dev execinfo.h=libc6-dev linux/=linux-libc-dev
""")
"""By what stands in an `#include`: a whole name, or a directory with its slash."""

LIBRARIES: Final = _table("""
z=zlib1g-dev ssl=libssl-dev crypto=libssl-dev curl=libcurl4-openssl-dev sqlite3=libsqlite3-dev xml2=libxml2-dev xslt=libxslt1-dev
expat=libexpat1-dev yaml=libyaml-dev jansson=libjansson-dev json-c=libjson-c-dev cjson=libcjson-dev yajl=libyajl-dev bz2=libbz2-dev
lzma=liblzma-dev zstd=libzstd-dev lz4=liblz4-dev snappy=libsnappy-dev archive=libarchive-dev zip=libzip-dev lzo2=liblzo2-dev png=libpng-dev
jpeg=libjpeg-dev tiff=libtiff-dev webp=libwebp-dev gif=libgif-dev freetype=libfreetype-dev ncurses=libncurses-dev ncursesw=libncurses-dev
curses=libncurses-dev tinfo=libncurses-dev readline=libreadline-dev history=libreadline-dev edit=libedit-dev bsd=libbsd-dev popt=libpopt-dev
pcre=libpcre3-dev pcre2-8=libpcre2-dev onig=libonig-dev re2=libre2-dev icuuc=libicu-dev gmp=libgmp-dev gmpxx=libgmp-dev mpfr=libmpfr-dev
mpc=libmpc-dev gsl=libgsl-dev blas=libblas-dev cblas=libopenblas-dev lapack=liblapack-dev openblas=libopenblas-dev fftw3=libfftw3-dev
hdf5=libhdf5-dev gtest=libgtest-dev gtest_main=libgtest-dev gmock=libgmock-dev benchmark=libbenchmark-dev check=check cmocka=libcmocka-dev
cunit=libcunit1-dev cppunit=libcppunit-dev criterion=libcriterion-dev CppUTest=libcpputest-dev subunit=libsubunit-dev gflags=libgflags-dev
glog=libgoogle-glog-dev protobuf=libprotobuf-dev event=libevent-dev uv=libuv1-dev ev=libev-dev zmq=libzmq3-dev hiredis=libhiredis-dev
pq=libpq-dev mysqlclient=default-libmysqlclient-dev odbc=unixodbc-dev lmdb=liblmdb-dev leveldb=libleveldb-dev db=libdb-dev gdbm=libgdbm-dev
microhttpd=libmicrohttpd-dev nghttp2=libnghttp2-dev websockets=libwebsockets-dev ssh=libssh-dev ssh2=libssh2-1-dev cares=libc-ares-dev
idn2=libidn2-dev gnutls=libgnutls28-dev nettle=nettle-dev gcrypt=libgcrypt20-dev gpgme=libgpgme-dev sodium=libsodium-dev
mbedtls=libmbedtls-dev mbedcrypto=libmbedtls-dev cryptopp=libcrypto++-dev argon2=libargon2-dev xxhash=libxxhash-dev krb5=libkrb5-dev
gssapi_krb5=libkrb5-dev sasl2=libsasl2-dev ldap=libldap-dev pam=libpam0g-dev systemd=libsystemd-dev udev=libudev-dev dbus-1=libdbus-1-dev
usb-1.0=libusb-1.0-0-dev bluetooth=libbluetooth-dev blkid=libblkid-dev mount=libmount-dev uuid=uuid-dev cap=libcap-dev cap-ng=libcap-ng-dev
acl=libacl1-dev attr=libattr1-dev seccomp=libseccomp-dev selinux=libselinux1-dev fuse=libfuse-dev fuse3=libfuse3-dev elf=libelf-dev
dw=libdw-dev unwind=libunwind-dev bpf=libbpf-dev uring=liburing-dev numa=libnuma-dev pcap=libpcap-dev nl-3=libnl-3-dev mnl=libmnl-dev
aio=libaio-dev tirpc=libtirpc-dev SDL2=libsdl2-dev glfw=libglfw3-dev GL=libgl-dev GLEW=libglew-dev GLU=libglu1-mesa-dev glut=freeglut3-dev
X11=libx11-dev Xext=libxext-dev Xrandr=libxrandr-dev Xi=libxi-dev xcb=libxcb1-dev asound=libasound2-dev pulse=libpulse-dev
sndfile=libsndfile1-dev ogg=libogg-dev vorbis=libvorbis-dev FLAC=libflac-dev opus=libopus-dev magic=libmagic-dev ffi=libffi-dev
lua5.4=liblua5.4-dev lua=liblua5.4-dev git2=libgit2-dev apr-1=libapr1-dev pugixml=libpugixml-dev tinyxml2=libtinyxml2-dev tbb=libtbb-dev
boost_system=libboost-system-dev boost_filesystem=libboost-filesystem-dev boost_program_options=libboost-program-options-dev
boost_unit_test_framework=libboost-test-dev boost_regex=libboost-regex-dev boost_thread=libboost-thread-dev fl=libfl-dev ltdl=libltdl-dev
fmt=libfmt-dev spdlog=libspdlog-dev jsoncpp=libjsoncpp-dev yaml-cpp=libyaml-cpp-dev jemalloc=libjemalloc-dev
tcmalloc=libgoogle-perftools-dev hs=libhyperscan-dev
""")
"""By the name behind `-l`."""

PROGRAMS: Final = _table("""
cmake=cmake ctest=cmake ninja=ninja-build meson=meson make=make gmake=make pkg-config=pkg-config pkgconf=pkgconf autoconf=autoconf
autoreconf=autoconf autoheader=autoconf autom4te=autoconf automake=automake aclocal=automake libtool=libtool libtoolize=libtool
autopoint=autopoint gettext=gettext msgfmt=gettext xgettext=gettext intltoolize=intltool m4=m4 bison=bison yacc=bison flex=flex lex=flex
re2c=re2c ragel=ragel gperf=gperf swig=swig nasm=nasm yasm=yasm perl=perl python=python-is-python3 python3=python3 tclsh=tcl ruby=ruby
lua=lua5.4 gawk=gawk awk=gawk sed=sed bc=bc dc=dc ed=ed xxd=xxd hexdump=bsdextrautils od=coreutils file=file patch=patch diff=diffutils
cmp=diffutils git=git curl=curl wget=wget unzip=unzip zip=zip xz=xz-utils zstd=zstd bzip2=bzip2 gzip=gzip lz4=lz4 tar=tar cpio=cpio
rsync=rsync valgrind=valgrind gdb=gdb strace=strace ltrace=ltrace lcov=lcov gcovr=gcovr doxygen=doxygen dot=graphviz help2man=help2man
makeinfo=texinfo texi2dvi=texinfo asciidoc=asciidoc-base a2x=asciidoc-base asciidoctor=asciidoctor xsltproc=xsltproc xmllint=libxml2-utils
xmlto=xmlto docbook2man=docbook-utils pandoc=pandoc rst2man=python3-docutils pod2man=perl gtkdocize=gtk-doc-tools
gtk-doc-tools=gtk-doc-tools g-ir-scanner=gobject-introspection valac=valac glib-compile-resources=libglib2.0-dev-bin
glib-mkenums=libglib2.0-dev-bin gdbus-codegen=libglib2.0-dev-bin protoc=protobuf-compiler protoc-c=protobuf-c-compiler
flatc=flatbuffers-compiler capnp=capnproto grpc_cpp_plugin=protobuf-compiler-grpc thrift=thrift-compiler clang=clang clang++=clang
clang-format=clang-format clang-tidy=clang-tidy cppcheck=cppcheck ccache=ccache gfortran=gfortran cargo=cargo rustc=rustc go=golang
node=nodejs java=default-jre-headless javac=default-jdk-headless scons=scons bear=bear qmake=qtbase5-dev prove=perl bats=bats
shellcheck=shellcheck expect=expect runtest=dejagnu dejagnu=dejagnu pytest=python3-pytest cram=python3-cram lit=llvm-dev tmux=tmux
screen=screen socat=socat nc=netcat-openbsd netcat=netcat-openbsd ss=iproute2 ip=iproute2 ping=iputils-ping ps=procps pgrep=procps lsof=lsof
killall=psmisc jq=jq sqlite3=sqlite3 openssl=openssl ssh=openssh-client redis-server=redis-server psql=postgresql-client
mysql=default-mysql-client locale-gen=locales zsh=zsh fish=fish bash=bash busybox=busybox faketime=faketime time=time uuidgen=uuid-runtime
fakeroot=fakeroot attr=attr setfattr=attr getfacl=acl sox=sox ffmpeg=ffmpeg convert=imagemagick xvfb-run=xvfb Xvfb=xvfb getopt=util-linux
unbuffer=expect hunspell=hunspell aspell=aspell chrpath=chrpath patchelf=patchelf dos2unix=dos2unix moreutils=moreutils ts=moreutils
parallel=parallel iconv=libc-bin rake=rake
""")
"""By the name of the command."""
