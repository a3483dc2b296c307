/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>

/*
 * libssh, opened when the first host is reached (library.h). Its functions are called by their own names.
 *
 * errors  of library_open()
 */
int ssh_library_load(struct err *err);

/* clang-format off */
#define SSH_LIBRARY(X) \
    X(sftp_close) \
    X(sftp_free) \
    X(sftp_init) \
    X(sftp_new) \
    X(sftp_open) \
    X(sftp_write) \
    X(ssh_channel_close) \
    X(ssh_channel_free) \
    X(ssh_channel_is_closed) \
    X(ssh_channel_is_eof) \
    X(ssh_channel_new) \
    X(ssh_channel_open_session) \
    X(ssh_channel_poll) \
    X(ssh_channel_read_nonblocking) \
    X(ssh_channel_request_exec) \
    X(ssh_channel_send_eof) \
    X(ssh_channel_write) \
    X(ssh_clean_pubkey_hash) \
    X(ssh_connect) \
    X(ssh_disconnect) \
    X(ssh_free) \
    X(ssh_get_error) \
    X(ssh_get_fd) \
    X(ssh_get_fingerprint_hash) \
    X(ssh_get_poll_flags) \
    X(ssh_get_publickey_hash) \
    X(ssh_get_server_publickey) \
    X(ssh_get_serverbanner) \
    X(ssh_get_status) \
    X(ssh_is_connected) \
    X(ssh_key_cmp) \
    X(ssh_key_free) \
    X(ssh_key_type) \
    X(ssh_key_type_to_char) \
    X(ssh_new) \
    X(ssh_options_get) \
    X(ssh_options_get_port) \
    X(ssh_options_parse_config) \
    X(ssh_options_set) \
    X(ssh_pki_copy_cert_to_privkey) \
    X(ssh_pki_export_pubkey_base64) \
    X(ssh_pki_import_cert_file) \
    X(ssh_pki_import_privkey_file) \
    X(ssh_pki_import_pubkey_file) \
    X(ssh_remove_channel_callbacks) \
    X(ssh_session_is_known_server) \
    X(ssh_session_update_known_hosts) \
    X(ssh_set_agent_socket) \
    X(ssh_set_blocking) \
    X(ssh_set_channel_callbacks) \
    X(ssh_string_free_char) \
    X(ssh_userauth_agent) \
    X(ssh_userauth_kbdint) \
    X(ssh_userauth_kbdint_getnprompts) \
    X(ssh_userauth_kbdint_getprompt) \
    X(ssh_userauth_kbdint_setanswer) \
    X(ssh_userauth_list) \
    X(ssh_userauth_none) \
    X(ssh_userauth_password) \
    X(ssh_userauth_publickey) \
    X(ssh_userauth_try_publickey)
/* clang-format on */

struct ssh_library {
#define SSH_LIBRARY_MEMBER(name) __typeof__(name) *(name);
    SSH_LIBRARY(SSH_LIBRARY_MEMBER)
#undef SSH_LIBRARY_MEMBER
};
extern struct ssh_library ssh_library;

#ifndef SSH_LIBRARY_NAMES /* ssh_library.c needs them as they are */
#define sftp_close ssh_library.sftp_close
#define sftp_free ssh_library.sftp_free
#define sftp_init ssh_library.sftp_init
#define sftp_new ssh_library.sftp_new
#define sftp_open ssh_library.sftp_open
#define sftp_write ssh_library.sftp_write
#define ssh_channel_close ssh_library.ssh_channel_close
#define ssh_channel_free ssh_library.ssh_channel_free
#define ssh_channel_is_closed ssh_library.ssh_channel_is_closed
#define ssh_channel_is_eof ssh_library.ssh_channel_is_eof
#define ssh_channel_new ssh_library.ssh_channel_new
#define ssh_channel_open_session ssh_library.ssh_channel_open_session
#define ssh_channel_poll ssh_library.ssh_channel_poll
#define ssh_channel_read_nonblocking ssh_library.ssh_channel_read_nonblocking
#define ssh_channel_request_exec ssh_library.ssh_channel_request_exec
#define ssh_channel_send_eof ssh_library.ssh_channel_send_eof
#define ssh_channel_write ssh_library.ssh_channel_write
#define ssh_clean_pubkey_hash ssh_library.ssh_clean_pubkey_hash
#define ssh_connect ssh_library.ssh_connect
#define ssh_disconnect ssh_library.ssh_disconnect
#define ssh_free ssh_library.ssh_free
#define ssh_get_error ssh_library.ssh_get_error
#define ssh_get_fd ssh_library.ssh_get_fd
#define ssh_get_fingerprint_hash ssh_library.ssh_get_fingerprint_hash
#define ssh_get_poll_flags ssh_library.ssh_get_poll_flags
#define ssh_get_publickey_hash ssh_library.ssh_get_publickey_hash
#define ssh_get_server_publickey ssh_library.ssh_get_server_publickey
#define ssh_get_serverbanner ssh_library.ssh_get_serverbanner
#define ssh_get_status ssh_library.ssh_get_status
#define ssh_is_connected ssh_library.ssh_is_connected
#define ssh_key_cmp ssh_library.ssh_key_cmp
#define ssh_key_free ssh_library.ssh_key_free
#define ssh_key_type ssh_library.ssh_key_type
#define ssh_key_type_to_char ssh_library.ssh_key_type_to_char
#define ssh_new ssh_library.ssh_new
#define ssh_options_get ssh_library.ssh_options_get
#define ssh_options_get_port ssh_library.ssh_options_get_port
#define ssh_options_parse_config ssh_library.ssh_options_parse_config
#define ssh_options_set ssh_library.ssh_options_set
#define ssh_pki_copy_cert_to_privkey ssh_library.ssh_pki_copy_cert_to_privkey
#define ssh_pki_export_pubkey_base64 ssh_library.ssh_pki_export_pubkey_base64
#define ssh_pki_import_cert_file ssh_library.ssh_pki_import_cert_file
#define ssh_pki_import_privkey_file ssh_library.ssh_pki_import_privkey_file
#define ssh_pki_import_pubkey_file ssh_library.ssh_pki_import_pubkey_file
#define ssh_remove_channel_callbacks ssh_library.ssh_remove_channel_callbacks
#define ssh_session_is_known_server ssh_library.ssh_session_is_known_server
#define ssh_session_update_known_hosts ssh_library.ssh_session_update_known_hosts
#define ssh_set_agent_socket ssh_library.ssh_set_agent_socket
#define ssh_set_blocking ssh_library.ssh_set_blocking
#define ssh_set_channel_callbacks ssh_library.ssh_set_channel_callbacks
#define ssh_string_free_char ssh_library.ssh_string_free_char
#define ssh_userauth_agent ssh_library.ssh_userauth_agent
#define ssh_userauth_kbdint ssh_library.ssh_userauth_kbdint
#define ssh_userauth_kbdint_getnprompts ssh_library.ssh_userauth_kbdint_getnprompts
#define ssh_userauth_kbdint_getprompt ssh_library.ssh_userauth_kbdint_getprompt
#define ssh_userauth_kbdint_setanswer ssh_library.ssh_userauth_kbdint_setanswer
#define ssh_userauth_list ssh_library.ssh_userauth_list
#define ssh_userauth_none ssh_library.ssh_userauth_none
#define ssh_userauth_password ssh_library.ssh_userauth_password
#define ssh_userauth_publickey ssh_library.ssh_userauth_publickey
#define ssh_userauth_try_publickey ssh_library.ssh_userauth_try_publickey
#endif
