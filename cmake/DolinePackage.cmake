# What is installed where, and the Debian package (`./run package`). `cmake --install build/release` does the same without one.
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
  set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "where Doline is installed; the unit and the packaged configuration name it" FORCE)
endif()
include(GNUInstallDirs)
set(DOLINE_CONFIG_DIR ${CMAKE_INSTALL_FULL_SYSCONFDIR}/doline)
set(DOLINE_DATA_DIR ${CMAKE_INSTALL_FULL_DATADIR}/doline)

if(NOT TARGET doline OR NOT EXISTS ${CMAKE_SOURCE_DIR}/config/doline.yml)
  return()
endif()

set(made ${CMAKE_BINARY_DIR}/package-files)
set(parts ${CMAKE_SOURCE_DIR}/cmake/package)
configure_file(${parts}/doline.service ${made}/doline.service @ONLY)

# The configuration that is shipped is the one in config/, with the paths of an installed Doline and its user.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/config/doline.yml)
file(READ ${CMAKE_SOURCE_DIR}/config/doline.yml settings)
string(REGEX REPLACE "(\\.\\./)?blocklists/" "${DOLINE_DATA_DIR}/blocklists/" settings "${settings}")
file(WRITE ${made}/doline.yml "${settings}")

# Debian wants manual pages and changelogs compressed, without a time in them. The page is what the installed program says.
find_program(GZIP gzip REQUIRED)
install(CODE "execute_process(COMMAND ${parts}/manual.sh \"$<TARGET_FILE:doline>\" COMMAND ${GZIP} -9nc
                              OUTPUT_FILE ${made}/doline.1.gz COMMAND_ERROR_IS_FATAL ANY)
              execute_process(COMMAND ${GZIP} -9nc ${parts}/changelog OUTPUT_FILE ${made}/changelog.gz
                              COMMAND_ERROR_IS_FATAL ANY)")

install(TARGETS doline RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${made}/doline.yml DESTINATION ${DOLINE_CONFIG_DIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/blocklists DESTINATION ${CMAKE_INSTALL_DATADIR}/doline)
install(FILES ${made}/doline.service DESTINATION lib/systemd/system)
install(FILES ${made}/doline.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${parts}/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME doline)
install(FILES ${parts}/completion.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _doline)
install(FILES ${parts}/copyright ${made}/changelog.gz ${CMAKE_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/doline)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME doline)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Doline authors <doline@doline.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "Doline serves the DNS of every device at home, catches queries that
devices send to hard-coded foreign resolvers, decides per device what shall
happen, asks a trusted upstream when the decision is to forward, and keeps a
log of what every device asked and what it was told.")
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# curl, ldns and libcrypto are not linked, so that no program finds them here
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.51), libcurl4t64 | libcurl4 (>= 7.86), libldns3t64 | libldns3, libssl3t64 | libssl3")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "nftables, iproute2, ieee-data, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "iptables, bind9-dnsutils")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
file(WRITE ${made}/conffiles "${DOLINE_CONFIG_DIR}/doline.yml\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${made}/conffiles ${parts}/postinst ${parts}/prerm ${parts}/postrm)
include(CPack)
