# sharedlock_etcd_proto: the messages and stubs of proto/etcd.proto. Generated code, so without our flags; its headers
# count as a system's.
set(proto_dir ${PROJECT_BINARY_DIR}/proto)
set(proto_files ${proto_dir}/etcd.pb.cc ${proto_dir}/etcd.pb.h ${proto_dir}/etcd.grpc.pb.cc ${proto_dir}/etcd.grpc.pb.h)
file(MAKE_DIRECTORY ${proto_dir})
add_custom_command(
  OUTPUT ${proto_files}
  COMMAND ${PROTOC} --proto_path=${PROJECT_SOURCE_DIR}/proto --cpp_out=${proto_dir} --grpc_out=${proto_dir}
          --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN} etcd.proto
  DEPENDS ${PROJECT_SOURCE_DIR}/proto/etcd.proto
  VERBATIM)
add_library(sharedlock_etcd_proto STATIC ${proto_files})
set_target_properties(sharedlock_etcd_proto PROPERTIES UNITY_BUILD OFF)  # the generated files use the same names
target_include_directories(sharedlock_etcd_proto SYSTEM PUBLIC ${proto_dir})
target_link_libraries(sharedlock_etcd_proto PUBLIC
  ${GRPC_CPP} ${GRPC_CORE} ${GRPC_PLATFORM} ${GRPC_MUTEX} ${PROTOBUF} Threads::Threads)
